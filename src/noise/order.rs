//! Lists whose order varies.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::json;

/// What is known of the order of a list.
pub(super) enum Order<'v> {
    /// The elements stand where they stood.
    Same,
    /// They stand elsewhere than in the capture, at the same places in all replays.
    Differs,
    /// The same elements stand elsewhere in each replay.
    Varies,
    /// Elements that are the same but for what varies in them stand elsewhere in each replay: each list with its elements in one
    /// order.
    Aligned(Vec<Vec<&'v Value>>),
    /// They stand elsewhere in each replay, and can't be told apart.
    Unclear,
}

/// Finds out whether lists of one length, the captured one first, hold the same elements in other orders.
pub(super) fn order<'v>(lists: &[&'v [Value]]) -> Order<'v> {
    let shown: Vec<Vec<String>> = lists
        .iter()
        .map(|list| list.iter().map(json::show).collect())
        .collect();
    if is_one(&shown) {
        return Order::Same;
    }
    if is_permuted(&shown) {
        return match is_one(&shown[1..]) {
            true => Order::Differs,
            false => Order::Varies,
        };
    }
    // The parts of elements that all lists have, some of them elsewhere.
    let columns: Vec<BTreeMap<String, Vec<String>>> =
        lists.iter().map(|list| columns(list)).collect();
    let Some(first) = columns.first() else {
        return Order::Same;
    };
    let column = |place: &String| -> Option<Vec<Vec<String>>> {
        let columns = columns.iter().map(|columns| columns.get(place).cloned());
        columns.collect()
    };
    let kept: Vec<Vec<Vec<String>>> = first
        .keys()
        .filter_map(column)
        .filter(|lists| is_permuted(lists))
        .collect();
    if kept.iter().all(|lists| is_one(lists)) {
        return Order::Same;
    }
    if kept.iter().all(|lists| is_one(&lists[1..])) {
        return Order::Differs;
    }
    let aligned = lists.iter().enumerate().map(|(n, list)| {
        let key = |element: usize| -> Vec<&String> {
            kept.iter().map(|lists| &lists[n][element]).collect()
        };
        let mut order: Vec<usize> = (0..list.len()).collect();
        order.sort_by_key(|element| key(*element));
        let keys: Vec<Vec<String>> = order
            .iter()
            .map(|element| key(*element).into_iter().cloned().collect())
            .collect();
        let elements: Vec<&Value> = order.iter().map(|element| &list[*element]).collect();
        (keys, elements)
    });
    let (keys, aligned): (Vec<_>, Vec<_>) = aligned.unzip();
    let is_clear = is_one(&keys) && keys[0].windows(2).all(|pair| pair[0] != pair[1]);
    match is_clear {
        true => Order::Aligned(aligned),
        false => Order::Unclear,
    }
}

/// Returns whether all are equal.
fn is_one<T: PartialEq>(all: &[T]) -> bool {
    all.windows(2).all(|pair| pair[0] == pair[1])
}

/// Returns whether lists hold the same in whatever order.
fn is_permuted(lists: &[Vec<String>]) -> bool {
    let sorted = |list: &Vec<String>| {
        let mut sorted = list.clone();
        sorted.sort_unstable();
        sorted
    };
    let sorted: Vec<Vec<String>> = lists.iter().map(sorted).collect();
    is_one(&sorted)
}

/// Returns the values at the places that all elements of a list have, by place.
fn columns(list: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for element in list {
        leaves(element, String::new(), &mut columns);
    }
    columns.retain(|_, values| values.len() == list.len());
    columns
}

fn leaves(value: &Value, at: String, columns: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(member, format!("{at}/{name}"), columns);
            }
        }
        other => columns.entry(at).or_default().push(json::show(other)),
    }
}
