//! Compares the bodies of replays with the captured one and with each other.

use std::collections::HashSet;

use serde_json::Value;

use super::clock::has_moved;
use super::leaf::unified;
use super::order::{Order, order};
use super::{Difference, Moment, Noise, Place, Sent, Step, Structure, Varying};
use crate::base::json::{self, Query};
use crate::base::masked::{is_masked_number, stands_for};
use crate::compare::{BodyMode, BodyRules, MOST_UNORDERED, redact};

/// Finds out what varies among the bodies of replays, under the rules that a suite has already.
pub(crate) fn compare_bodies(captured: Sent<'_>, replays: &[Sent<'_>], rules: &BodyRules) -> Noise {
    let mut noise = Noise::default();
    let is_json = !matches!(rules.mode, Some(BodyMode::Ignore | BodyMode::String));
    let Some(was) = captured.body.filter(|_| is_json) else {
        return noise;
    };
    let places = |queries: &[Query]| -> HashSet<String> {
        let pointers = queries
            .iter()
            .map(|query| query.pointers(was).unwrap_or_default());
        pointers.flatten().collect()
    };
    let mut walk = Walk {
        times: std::iter::once(captured.at)
            .chain(replays.iter().map(|replay| replay.at))
            .collect(),
        is_exact: rules.mode == Some(BodyMode::Exact),
        unordered: &places(&rules.unordered),
        masked: &places(&rules.masked),
        rules,
        noise: &mut noise,
    };
    let all = std::iter::once(Some(was)).chain(replays.iter().map(|replay| replay.body));
    let all: Vec<Option<Value>> = all
        .map(|body| body.map(|body| walk.compared(body)))
        .collect();
    let all: Vec<Option<&Value>> = all.iter().map(Option::as_ref).collect();
    walk.any(&Place::default(), &all);
    noise
}

/// What stands for a value that is not compared.
const LEFT_OUT: &str = "\u{F8FF}left out";

struct Walk<'a> {
    /// When each body was sent, the captured one first.
    times: Vec<Option<Moment>>,
    is_exact: bool,
    /// Places of the captured body whose order means nothing already, as JSON pointers.
    unordered: &'a HashSet<String>,
    /// Places of the captured body at which placeholders stand for any text.
    masked: &'a HashSet<String>,
    rules: &'a BodyRules,
    noise: &'a mut Noise,
}

impl Walk<'_> {
    /// Returns a body as far as it is compared.
    fn compared(&self, body: &Value) -> Value {
        let mut body = body.clone();
        if redact(&mut body, &self.rules.redactions).is_err() {
            return Value::Null;
        }
        let matched = self.rules.matches.iter().map(|(query, _)| query);
        let left_out = self.rules.ignore.iter().chain(matched);
        let places: Vec<String> = left_out
            .flat_map(|query| query.pointers(&body).unwrap_or_default())
            .collect();
        for place in places {
            if let Some(value) = body.pointer_mut(&place) {
                *value = LEFT_OUT.into();
            }
        }
        body
    }

    /// Compares what is at a place, the captured value first.
    fn any(&mut self, place: &Place, all: &[Option<&Value>]) {
        let (captured, replays) = (all[0], &all[1..]);
        if all.iter().flatten().any(|value| **value == LEFT_OUT) {
            return;
        }
        let there = replays.iter().flatten().count();
        let present: Option<Vec<&Value>> = all.iter().copied().collect();
        let Some(present) = present else {
            match there {
                n if n > 0 && n < replays.len() => self.structure(place, Structure::Presence(n)),
                // It is gone, or new, in all of them.
                _ => self.difference(place, captured, replays),
            }
            return;
        };
        let kind = |value: &Value| json::kind(value);
        let own = kind(present[1]);
        if present[1..].iter().any(|value| kind(value) != own) {
            return self.structure(place, Structure::Type);
        }
        if kind(present[0]) != own {
            return self.difference(place, captured, replays);
        }
        match present[0] {
            Value::Object(_) => self.objects(place, &present),
            Value::Array(_) => self.arrays(place, &present),
            _ => self.leaf(place, &present),
        }
    }

    fn structure(&mut self, place: &Place, structure: Structure) {
        self.noise.structures.push((place.clone(), structure));
    }

    fn difference(&mut self, place: &Place, captured: Option<&Value>, replays: &[Option<&Value>]) {
        self.noise.differences.push(Difference {
            place: place.clone(),
            captured: captured.cloned(),
            now: replays.first().copied().flatten().cloned(),
        });
    }

    fn objects(&mut self, place: &Place, all: &[&Value]) {
        let mut names: Vec<&String> = Vec::new();
        let compared = if self.is_exact { all.len() } else { 1 };
        for object in all[..compared].iter().filter_map(|value| value.as_object()) {
            let new = object.keys().filter(|name| !names.contains(name));
            let new: Vec<&String> = new.collect();
            names.extend(new);
        }
        for name in names {
            let members: Vec<Option<&Value>> = all.iter().map(|object| object.get(name)).collect();
            self.any(&place.step(Step::Name(name.clone())), &members);
        }
    }

    fn arrays(&mut self, place: &Place, all: &[&Value]) {
        let lists: Vec<&[Value]> = all
            .iter()
            .map(|list| list.as_array().map(Vec::as_slice).unwrap_or_default())
            .collect();
        if lists[1..].iter().any(|list| list.len() != lists[1].len()) {
            return self.structure(place, Structure::Length);
        }
        if lists[0].len() != lists[1].len() {
            let replays: Vec<Option<&Value>> = all[1..].iter().map(|list| Some(*list)).collect();
            return self.difference(place, Some(all[0]), &replays);
        }
        let is_unordered = self.unordered.contains(&place.pointer());
        let order = order(&lists);
        let is_aligned = matches!(order, Order::Aligned(_));
        let elements: Vec<Vec<&Value>> = match order {
            Order::Varies | Order::Differs if is_unordered => return,
            // So many can't be compared without regard to order.
            Order::Varies | Order::Aligned(_) if lists[0].len() > MOST_UNORDERED => {
                return self.structure(place, Structure::Order);
            }
            Order::Varies => return self.noise.orders.push(place.clone()),
            Order::Differs => {
                let replays: Vec<Option<&Value>> =
                    all[1..].iter().map(|list| Some(*list)).collect();
                return self.difference(place, Some(all[0]), &replays);
            }
            Order::Unclear => return self.structure(place, Structure::Order),
            Order::Same => lists.iter().map(|list| list.iter().collect()).collect(),
            Order::Aligned(lists) => {
                if !is_unordered {
                    self.noise.orders.push(place.clone());
                }
                lists
            }
        };
        let mut own = Noise::default();
        let count = elements[0].len();
        for n in 0..count {
            let mut element = Walk {
                times: self.times.clone(),
                is_exact: self.is_exact,
                unordered: self.unordered,
                masked: self.masked,
                rules: self.rules,
                noise: &mut own,
            };
            let values: Vec<Option<&Value>> = elements.iter().map(|list| Some(list[n])).collect();
            element.any(&place.step(Step::Index(n)), &values);
        }
        let depth = place.0.len();
        own.generalise(depth, count);
        // Where the order varies, an index says nothing.
        let is_one =
            |varying: &Varying| is_aligned && matches!(varying.place.0[depth], Step::Index(_));
        if own.varying.iter().any(is_one) {
            own.varying.retain(|varying| !is_one(varying));
            own.structures.push((place.clone(), Structure::Order));
        }
        self.noise.varying.extend(own.varying);
        self.noise.orders.extend(own.orders);
        self.noise.structures.extend(own.structures);
        if is_aligned {
            for difference in &mut own.differences {
                difference.place.0[depth] = Step::Any;
            }
        }
        self.noise.differences.extend(own.differences);
    }

    fn leaf(&mut self, place: &Place, all: &[&Value]) {
        let is_same = |one: &Value, other: &Value| json::scalar_equals(one, other);
        let is_masked = self.masked.contains(&place.pointer());
        let is_right =
            |value: &Value| is_same(all[0], value) || (is_masked && stands(all[0], value));
        if all[1..].iter().all(|value| is_right(value)) {
            return;
        }
        let varies = all[1..].iter().any(|value| !is_same(all[1], value));
        let moves = all[1..]
            .iter()
            .zip(&self.times[1..])
            .all(|(value, at)| has_moved((all[0], self.times[0]), (value, *at)));
        if !(varies || moves) {
            let replays: Vec<Option<&Value>> = all[1..].iter().map(|value| Some(*value)).collect();
            return self.difference(place, Some(all[0]), &replays);
        }
        self.noise.varying.push(Varying {
            place: place.clone(),
            values: all.iter().map(|value| (*value).clone()).collect(),
            captured: 1,
            at: self.times.last().copied().flatten(),
        });
    }
}

/// Returns whether a captured value stands for another one, before secrets were masked.
fn stands(captured: &Value, value: &Value) -> bool {
    match (json::as_text(captured), json::as_text(value)) {
        (Some(captured), Some(value)) => stands_for(captured, value),
        (None, None) => json::number_text(captured).is_some_and(|number| is_masked_number(&number)),
        _ => false,
    }
}

impl Noise {
    /// Has what varies in each element of a list stand as one place for any of them. The list is `depth` steps deep and has
    /// `count` elements.
    fn generalise(&mut self, depth: usize, count: usize) {
        let general = |place: &Place| {
            let mut place = place.clone();
            place.0[depth] = Step::Any;
            place
        };
        let mut merged: Vec<(Place, Vec<Varying>)> = Vec::new();
        for varying in std::mem::take(&mut self.varying) {
            let place = general(&varying.place);
            match merged.iter_mut().find(|(known, _)| *known == place) {
                Some((_, all)) => all.push(varying),
                None => merged.push((place, vec![varying])),
            }
        }
        for (place, all) in merged {
            match unified(all.iter()).filter(|_| all.len() == count) {
                Some((pooled, _)) => self.varying.push(Varying { place, ..pooled }),
                None => self.varying.extend(all),
            }
        }
        let orders = std::mem::take(&mut self.orders);
        for place in &orders {
            let own = general(place);
            let all = orders.iter().filter(|other| general(other) == own).count();
            match all == count {
                true if self.orders.contains(&own) => {}
                true => self.orders.push(own),
                false => self.orders.push(place.clone()),
            }
        }
    }
}

impl Varying {
    /// Adds the values that were seen at the same place of another element or case.
    pub(crate) fn add(&mut self, other: Self) {
        let Self {
            place: _,
            mut values,
            captured,
            at,
        } = other;
        let replayed = values.split_off(captured);
        self.values.splice(self.captured..self.captured, values);
        self.captured += captured;
        self.values.extend(replayed);
        self.at = at;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns what was found: places, or places with what varies.
    fn found(captured: Value, replays: &[Value], rules: &BodyRules) -> [String; 4] {
        let sent = |body| Sent {
            body: Some(body),
            at: None,
        };
        let replays: Vec<Sent<'_>> = replays.iter().map(sent).collect();
        let noise = compare_bodies(sent(&captured), &replays, rules);
        let all = |places: Vec<String>| places.join(" ");
        [
            all(noise
                .varying
                .iter()
                .map(|one| one.place.to_string())
                .collect()),
            all(noise.orders.iter().map(ToString::to_string).collect()),
            all(noise
                .structures
                .iter()
                .map(|(place, structure)| format!("{place}:{structure:?}"))
                .collect()),
            all(noise
                .differences
                .iter()
                .map(|one| one.place.to_string())
                .collect()),
        ]
    }

    #[track_caller]
    fn check(captured: Value, replays: Value, wanted: [&str; 4]) {
        let replays = replays.as_array().unwrap();
        assert_eq!(
            found(captured, replays, &BodyRules::default()),
            wanted,
            "{replays:?}"
        );
    }

    #[test]
    fn what_varies_is_told_from_what_differs() {
        check(
            json!({"a": 1, "b": 1, "c": 1}),
            json!([{"a": 1, "b": 2, "c": 2, "more": 1}, {"a": 1, "b": 3, "c": 2, "more": 2}]),
            ["$.b", "", "", "$.c"],
        );
        // It is noise even if one of the runs is like the capture.
        check(
            json!({"a": 1}),
            json!([{"a": 1}, {"a": 2}]),
            ["$.a", "", "", ""],
        );
        check(
            json!({"a": 1}),
            json!([{}, {"a": 1}]),
            ["", "", "$.a:Presence(1)", ""],
        );
        check(json!({"a": 1}), json!([{}, {}]), ["", "", "", "$.a"]);
        check(
            json!({"a": 1}),
            json!([{"a": 1}, {"a": "1"}]),
            ["", "", "$.a:Type", ""],
        );
        check(
            json!({"a": 1}),
            json!([{"a": null}, {"a": null}]),
            ["", "", "", "$.a"],
        );
        check(json!([1]), json!([[1], [1, 2]]), ["", "", "$:Length", ""]);
        check(json!([1]), json!([[1, 2], [1, 2]]), ["", "", "", "$"]);
        check(
            json!({"a b": {"c": 1}}),
            json!([{"a b": {"c": 2}}, {"a b": {"c": 3}}]),
            ["$['a b'].c", "", "", ""],
        );
    }

    #[test]
    fn an_order_is_told_from_values() {
        check(
            json!([1, 2, 3]),
            json!([[1, 2, 3], [3, 2, 1]]),
            ["", "$", "", ""],
        );
        check(
            json!({"l": [{"k": 1, "v": 1}, {"k": 2, "v": 2}]}),
            json!([{"l": [{"k": 2, "v": 3}, {"k": 1, "v": 4}]}, {"l": [{"k": 1, "v": 5}, {"k": 2, "v": 6}]}]),
            ["$.l[*].v", "$.l", "", ""],
        );
        // Another order than the captured one, in all replays, is no noise.
        check(
            json!({"l": [1, 2, 3], "m": [{"k": 1, "v": 1}, {"k": 2, "v": 2}]}),
            json!([
                {"l": [3, 2, 1], "m": [{"k": 2, "v": 5}, {"k": 1, "v": 6}]},
                {"l": [3, 2, 1], "m": [{"k": 2, "v": 7}, {"k": 1, "v": 8}]},
            ]),
            ["", "", "", "$.l $.m"],
        );
        // One of the lists keeps its order.
        check(
            json!([[1, 2], [1, 2]]),
            json!([[[2, 1], [1, 2]], [[1, 2], [1, 2]]]),
            ["", "$[0]", "", ""],
        );
        // Only one of the elements varies: which one can't be said, since they move.
        check(
            json!([{"k": 1, "v": 1}, {"k": 2, "v": 2}]),
            json!([[{"k": 2, "v": 2}, {"k": 1, "v": 4}], [{"k": 1, "v": 5}, {"k": 2, "v": 2}]]),
            ["", "$", "$:Order", ""],
        );
        // Two elements that are the same but for what varies.
        check(
            json!([{"k": 1, "v": 1}, {"k": 1, "v": 2}, {"k": 2, "v": 3}]),
            json!([
                [{"k": 2, "v": 4}, {"k": 1, "v": 5}, {"k": 1, "v": 6}],
                [{"k": 1, "v": 7}, {"k": 2, "v": 8}, {"k": 1, "v": 9}],
            ]),
            ["", "", "$:Order", ""],
        );
        // All elements vary, or one of them, where they stay.
        check(json!([1, 2]), json!([[3, 4], [5, 6]]), ["$[*]", "", "", ""]);
        check(json!([1, 2]), json!([[1, 4], [1, 6]]), ["$[1]", "", "", ""]);
        check(
            json!([{"v": "67e55044-10b1-426f-9247-bb680e5fe0c8"}, {"v": 1}]),
            json!([
                [{"v": "77e55044-10b1-426f-9247-bb680e5fe0c8"}, {"v": 500}],
                [{"v": "87e55044-10b1-426f-9247-bb680e5fe0c8"}, {"v": 9}],
            ]),
            ["$[0].v $[1].v", "", "", ""],
        );
        check(
            json!([[{"v": 1}], [{"v": 2}]]),
            json!([[[{"v": 3}], [{"v": 4}]], [[{"v": 5}], [{"v": 6}]]]),
            ["$[*][*].v", "", "", ""],
        );
    }

    #[test]
    fn what_is_not_compared_is_no_noise() {
        use crate::base::json::Query;
        use crate::compare::Matcher;
        let query = |path: &str| Query::parse(path).unwrap();
        let mut rules = BodyRules {
            ignore: vec![query("$.a")],
            matches: vec![(query("$.b"), Matcher::Type("number"))],
            redactions: vec![(query("$.c"), "x".into())],
            masked: vec![query("$.d")],
            unordered: vec![query("$.e")],
            ..BodyRules::default()
        };
        let body = |n: u32, list: Value| json!({"a": n, "b": n, "c": n, "d": format!("t{n}"), "e": list, "f": n});
        let mut captured = body(1, json!([1, 2]));
        captured["d"] = "scrubbed-0123456789ab".into();
        let replays = [body(2, json!([2, 1])), body(3, json!([1, 2]))];
        assert_eq!(
            found(captured.clone(), &replays, &rules),
            ["$.f", "", "", ""]
        );
        rules.mode = Some(BodyMode::Ignore);
        assert_eq!(found(captured, &replays, &rules), ["", "", "", ""]);
        let exact = BodyRules {
            mode: Some(BodyMode::Exact),
            ..BodyRules::default()
        };
        let replays = [json!({"a": 1, "b": 1}), json!({"a": 1})];
        assert_eq!(
            found(json!({"a": 1}), &replays, &exact),
            ["", "", "$.b:Presence(1)", ""]
        );
    }
}
