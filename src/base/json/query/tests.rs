//! Each section of RFC 9535, and the limit.

use serde_json::{Map, Value, json};
use serde_json_path::JsonPath;

use super::Query;
use crate::base::json::parse;

/// Checks what a path selects, as JSON pointers.
#[track_caller]
fn selects(document: &Value, path: &str, wanted: &[&str]) {
    let query = Query::parse(path).unwrap();
    let located = query.locate(document).unwrap();
    let pointers: Vec<&str> = located.iter().map(|(pointer, _)| &**pointer).collect();
    assert_eq!(pointers, wanted, "{path}");
    for (pointer, value) in &located {
        assert_eq!(document.pointer(pointer), Some(*value), "{path}");
    }
    let values: Vec<&Value> = located.into_iter().map(|(_, value)| value).collect();
    assert_eq!(query.select(document).unwrap(), values, "{path}");
}

/// Section 2.2: the root; 2.3.1 and 2.5.1: names, in each of their forms.
#[test]
fn names() {
    let cart = json!({
        "id": 1, "line items": [1], "über": 2, "a/b~c": 3, "it's": 4, "\"q\"": 5, "\u{1F600}": 6, "a\nb": 7, "": 8, "_x9": 9,
    });
    selects(&cart, "$", &[""]);
    selects(&cart, "$.id", &["/id"]);
    selects(&cart, "$['line items']", &["/line items"]);
    selects(&cart, "$.über", &["/über"]);
    selects(&cart, "$[\"a/b~c\"]", &["/a~1b~0c"]);
    selects(&cart, "$['it\\'s']", &["/it's"]);
    selects(&cart, "$[\"it's\"]", &["/it's"]);
    selects(&cart, "$['\"q\"']", &["/\"q\""]);
    selects(&cart, "$[\"\\\"q\\\"\"]", &["/\"q\""]);
    selects(&cart, "$['\\uD83D\\ude00']", &["/\u{1F600}"]);
    selects(&cart, "$['a\\nb']", &["/a\nb"]);
    selects(&cart, "$['']", &["/"]);
    selects(&cart, "$._x9", &["/_x9"]);
    selects(&cart, "$ [ 'id' ]", &["/id"]);
    selects(&cart, "$\n.id", &["/id"]);
    selects(&cart, "$.ID", &[]);
    selects(&cart, "$.id.deeper", &[]);
    selects(&json!([1]), "$.id", &[]);
}

/// Section 2.3.2: wildcards.
#[test]
fn wildcards() {
    let value = json!({"a": [1, 2], "b": {"c": null}, "d": 3});
    selects(&value, "$.*", &["/a", "/b", "/d"]);
    selects(&value, "$[*]", &["/a", "/b", "/d"]);
    selects(&value, "$.*.*", &["/a/0", "/a/1", "/b/c"]);
    selects(&value, "$.d.*", &[]);
}

/// Section 2.3.3: indexes.
#[test]
fn indexes() {
    let value = json!(["a", "b", "c"]);
    selects(&value, "$[0]", &["/0"]);
    selects(&value, "$[-1]", &["/2"]);
    selects(&value, "$[-3]", &["/0"]);
    selects(&value, "$[3]", &[]);
    selects(&value, "$[-4]", &[]);
    selects(&json!({"0": 1}), "$[0]", &[]);
}

/// Section 2.3.4: slices.
#[test]
fn slices() {
    let value = json!([0, 1, 2, 3, 4]);
    let all = ["/0", "/1", "/2", "/3", "/4"];
    selects(&value, "$[:]", &all);
    selects(&value, "$[::]", &all);
    selects(&value, "$[1:3]", &["/1", "/2"]);
    selects(&value, "$[ 1 : 3 : 1 ]", &["/1", "/2"]);
    selects(&value, "$[-2:]", &["/3", "/4"]);
    selects(&value, "$[:-2]", &["/0", "/1", "/2"]);
    selects(&value, "$[::2]", &["/0", "/2", "/4"]);
    selects(&value, "$[::-1]", &["/4", "/3", "/2", "/1", "/0"]);
    selects(&value, "$[3:0:-2]", &["/3", "/1"]);
    selects(&value, "$[-1:-4:-1]", &["/4", "/3", "/2"]);
    selects(&value, "$[::0]", &[]);
    selects(&value, "$[-99:99]", &all);
    selects(&value, "$[99:-99:-1]", &["/4", "/3", "/2", "/1", "/0"]);
    selects(&value, "$[3:1]", &[]);
    selects(&value, "$[2:9007199254740991:9007199254740991]", &["/2"]);
    selects(&json!([]), "$[::-1]", &[]);
    selects(&json!({"a": 1}), "$[:]", &[]);
}

/// Sections 2.5.1 and 2.5.2: several selectors, and descendants; a node that is selected twice counts once.
#[test]
fn segments() {
    let value = json!({"a": {"a": {"b": 1}}, "b": [2, {"b": 3}]});
    selects(&value, "$['b', 'a']", &["/b", "/a"]);
    selects(&value, "$['a', 'a']", &["/a"]);
    selects(&value, "$.b[0, -1, 0]", &["/b/0", "/b/1"]);
    selects(&value, "$..b", &["/b", "/a/a/b", "/b/1/b"]);
    selects(&value, "$..[0]", &["/b/0"]);
    selects(
        &value,
        "$..*",
        &["/a", "/b", "/a/a", "/a/a/b", "/b/0", "/b/1", "/b/1/b"],
    );
    selects(&value, "$..a..b", &["/a/a/b"]);
    selects(&value, "$..['a', 'b'].b", &["/a/a/b"]);
}

/// Section 2.3.5: filters.
#[test]
fn filters() {
    let items = json!({"limit": 2, "items": [
        {"n": 1, "t": "x"},
        {"n": 2, "t": "y", "tags": []},
        {"n": 3, "t": null, "tags": ["a"]},
        {"n": "2", "tags": {"k": [1, {"z": 1.0}]}},
        5,
    ]});
    let item = |path: &str, wanted: &[usize]| {
        let pointers: Vec<String> = wanted.iter().map(|n| format!("/items/{n}")).collect();
        let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
        selects(&items, &format!("$.items[?{path}]"), &pointers);
    };
    item("@.tags", &[1, 2, 3]);
    item("!@.tags", &[0, 4]);
    item("@.t", &[0, 1, 2]);
    item("@.tags.*", &[2, 3]);
    item("@.n == 2", &[1]);
    item("@.n==2.0", &[1]);
    item("2e0 == @.n", &[1]);
    item("@.n != 2", &[0, 2, 3, 4]);
    item("@.n < 2", &[0]);
    item("@.n <= 2", &[0, 1]);
    item("@.n > 1", &[1, 2]);
    item("@.n >= 3", &[2]);
    item("@.n >= '2'", &[3]);
    item("@ > 4", &[4]);
    item("@.n == $.limit", &[1]);
    item("@.t == null", &[2]);
    item("@.t == @.missing", &[3, 4]);
    item("@.missing == $.gone", &[0, 1, 2, 3, 4]);
    item("@.missing <= length(@.gone)", &[0, 1, 2, 3, 4]);
    item("@.missing < $.gone", &[]);
    item("@.t < true", &[]);
    item("@.tags == @.tags && @.tags", &[1, 2, 3]);
    item("@.n == 1 || @.n == 3 && @.t == null", &[0, 2]);
    item("(@.n == 1 || @.n == 3) && @.t == null", &[2]);
    item("!(@.n == 1 || @.n == 3)", &[1, 3, 4]);
    item("@.tags[?@ == 'a']", &[2]);
    item("@.tags['k'][-1].z == 1", &[3]);
    item("@..z", &[3]);
    item("true == true", &[0, 1, 2, 3, 4]);
    item("false == true", &[]);
    selects(&items, "$..[?@.z]", &["/items/3/tags/k/1"]);
    selects(&items, "$[?@ == 2, ?@[0]]", &["/limit", "/items"]);
    let same = json!([{"a": {"x": [1, "2"], "y": 1.0}, "b": {"y": 1, "x": [1.0, "2"]}}, {"a": [1], "b": [1, 2]}]);
    selects(&same, "$[?@.a == @.b]", &["/0"]);
    selects(&same, "$[?@.a != @.b]", &["/1"]);
}

/// Section 2.4: functions.
#[test]
fn functions() {
    let value = json!([
        {"t": "größe", "l": [1, 2, 3]},
        {"t": "a\nb", "l": {"k": 1}},
        {"t": ["x"], "p": "x+", "l": 4},
    ]);
    selects(&value, "$[?length(@.t) == 5]", &["/0"]);
    selects(&value, "$[?length(@.l)==1]", &["/1"]);
    selects(&value, "$[?length(@.l) == @.missing]", &["/2"]);
    selects(&value, "$[?length('abc') == 3]", &["/0", "/1", "/2"]);
    selects(&value, "$[?count(@.l.*) == 3]", &["/0"]);
    selects(&value, "$[?count(@..*) > 4]", &["/0"]);
    selects(&value, "$[?count(@['t', 't']) == 2]", &["/0", "/1", "/2"]);
    selects(&value, "$[?match(@.t, 'gr.*')]", &["/0"]);
    selects(&value, "$[?match(@.t, 'r')]", &[]);
    selects(&value, "$[?match(@.t, 'a.b')]", &[]);
    selects(&value, "$[?match(@.t, 'a[.\\n]b')]", &["/1"]);
    selects(&value, "$[?search( @.t , 'r|b' )]", &["/0", "/1"]);
    selects(&value, "$[?!search(@.t, 'r')]", &["/1", "/2"]);
    selects(&value, "$[?match(@.t[0], @.p)]", &["/2"]);
    selects(&value, "$[?search(@.t, '(')]", &[]);
    selects(&value, "$[?value(@..k) == 1]", &["/1"]);
    selects(&value, "$[?value(@.l[*]) == 1]", &["/1"]);
    selects(&value, "$[?value(@.l) == 4]", &["/2"]);
}

/// Beyond the standard: numbers that no type holds are compared by their digits.
#[test]
fn numbers_are_exact() {
    let value =
        parse(r#"[{"id": 12345678901234567890123}, {"id": 12345678901234567890124}]"#).unwrap();
    selects(&value, "$[?@.id == 12345678901234567890124]", &["/1"]);
    selects(&value, "$[?@.id < 12345678901234567890124]", &["/0"]);
    selects(
        &value,
        "$[?length(@.id) == 1 || @.id == '12345678901234567890123']",
        &[],
    );
}

/// Paths and documents at random select what the library selects, in its order.
#[test]
fn paths_select_what_the_library_selects() {
    let mut random = fastrand::Rng::with_seed(9535);
    let mut some = 0;
    for _ in 0..4000 {
        let document = random_value(&mut random, 4);
        let path = format!("${}", random_segments(&mut random, 3));
        let Ok(query) = Query::parse(&path) else {
            assert!(JsonPath::parse(&path).is_err(), "{path}");
            continue;
        };
        let library = JsonPath::parse(&path).unwrap();
        let mut wanted: Vec<String> = Vec::new();
        for node in library.query_located(&document).iter() {
            let pointer = node.location().to_json_pointer();
            if !wanted.contains(&pointer) {
                wanted.push(pointer);
            }
        }
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        selects(&document, &path, &wanted);
        assert_eq!(query.text(), path);
        some += usize::from(!wanted.is_empty());
    }
    assert!(some > 800, "{some} selected something");
}

fn random_value(random: &mut fastrand::Rng, depth: usize) -> Value {
    match random.usize(..if depth == 0 { 5 } else { 9 }) {
        0 => Value::Null,
        1 => random.bool().into(),
        2 => random.i64(-2..4).into(),
        3 => (random.f64() * 4.0).round().into(),
        4 => ["", "a", "b", "ab", "äb"][random.usize(..5)].into(),
        5 | 6 => (0..random.usize(..4))
            .map(|_| random_value(random, depth - 1))
            .collect(),
        _ => {
            let names = ["a", "b", "c", "a b"].into_iter();
            let kept: Vec<&str> = names.filter(|_| random.bool()).collect();
            let members = kept
                .into_iter()
                .map(|name| (name, random_value(random, depth - 1)));
            members
                .map(|(name, member)| (name.to_owned(), member))
                .collect()
        }
    }
}

fn random_segments(random: &mut fastrand::Rng, depth: usize) -> String {
    let count = random.usize(..4);
    (0..count)
        .map(|_| match random.usize(..6) {
            0 => ".a".to_owned(),
            1 => ".*".to_owned(),
            2 => "..b".to_owned(),
            3 => "..*".to_owned(),
            4 => format!("..[{}]", random_selectors(random, depth)),
            _ => format!("[{}]", random_selectors(random, depth)),
        })
        .collect()
}

fn random_selectors(random: &mut fastrand::Rng, depth: usize) -> String {
    let selectors: Vec<String> = (0..random.usize(1..3))
        .map(|_| match random.usize(..if depth == 0 { 5 } else { 8 }) {
            0 => "'a'".to_owned(),
            1 => "\"a b\"".to_owned(),
            2 => "*".to_owned(),
            3 => random.i64(-3..3).to_string(),
            4 => {
                let mut bound = || match random.bool() {
                    true => random.i64(-4..4).to_string(),
                    false => String::new(),
                };
                format!("{}:{}:{}", bound(), bound(), bound())
            }
            _ => format!("?{}", random_condition(random, depth - 1)),
        })
        .collect();
    selectors.join(", ")
}

fn random_condition(random: &mut fastrand::Rng, depth: usize) -> String {
    match random.usize(..8) {
        0 if depth > 0 => {
            let (a, b) = (
                random_condition(random, depth - 1),
                random_condition(random, depth - 1),
            );
            format!("{a} || {b}")
        }
        1 if depth > 0 => {
            let (a, b) = (
                random_condition(random, depth - 1),
                random_condition(random, depth - 1),
            );
            format!("({a}) && {b}")
        }
        2 if depth > 0 => format!("!({})", random_condition(random, depth - 1)),
        3 => format!("@{}", random_segments(random, depth.min(1))),
        4 => format!(
            "{}(@.a, '{}')",
            ["match", "search"][random.usize(..2)],
            ["a.?", ".", "b"][random.usize(..3)]
        ),
        _ => {
            let (a, b) = (random_operand(random), random_operand(random));
            // The library takes two sides without a value as different for `<=` and `>=`; the standard does not.
            let may_lack_value = |side: &str| side.contains(['@', '$']);
            let most = if may_lack_value(&a) && may_lack_value(&b) {
                4
            } else {
                6
            };
            let operator = ["==", "!=", "<", ">", "<=", ">="][random.usize(..most)];
            format!("{a} {operator} {b}")
        }
    }
}

fn random_operand(random: &mut fastrand::Rng) -> String {
    match random.usize(..9) {
        0 => "@.a".to_owned(),
        1 => "@[0]".to_owned(),
        2 => "$.b".to_owned(),
        3 => "1".to_owned(),
        4 => "'ab'".to_owned(),
        5 => "length(@.a)".to_owned(),
        6 => format!("count(@{})", random_segments(random, 0)),
        7 => format!("value(@{})", random_segments(random, 0)),
        _ => ["null", "true", "2.0", "-1"][random.usize(..4)].to_owned(),
    }
}

/// A path whose cost grows with a power of the document's size ends at the limit.
#[test]
fn an_evaluation_has_a_limit() {
    let deep = |levels: usize| {
        parse(&format!(
            "{}1{}",
            "{\"a\":".repeat(levels),
            "}".repeat(levels)
        ))
        .unwrap()
    };
    // Each selected node counts once, so this costs no more than segments times nodes times their depth.
    let chain = Query::parse("$..a..a..a..a..a..a").unwrap();
    assert_eq!(chain.locate(&deep(100)).unwrap().len(), 95);
    assert_eq!(
        chain.locate(&deep(900)).unwrap_err().to_string(),
        "evaluating `$..a..a..a..a..a..a` over this body visits more than 1000000 nodes; write a path that is more exact"
    );
    let counted = Query::parse("$[?count(@..a..a..a..a..a..a) > 1]").unwrap();
    assert!(counted.locate(&json!([deep(100)])).is_err());
    let wide = json!({"a": vec![0; 2000]});
    assert!(
        Query::parse("$.a[?count($.a[*]) > 1]")
            .unwrap()
            .select(&wide)
            .is_err()
    );
    assert!(
        Query::parse("$.a[?$.a == $.a]")
            .unwrap()
            .select(&wide)
            .is_err()
    );
    let text = json!({"t": "x".repeat(1_000_000), "a": vec![0; 2000]});
    assert!(
        Query::parse("$.a[?search($.t, 'y')]")
            .unwrap()
            .select(&text)
            .is_err()
    );
    assert!(
        Query::parse("$.a[?length($.t) > 1]")
            .unwrap()
            .select(&text)
            .is_err()
    );
    assert!(
        Query::parse("$.a[?$.t < 'x']")
            .unwrap()
            .select(&text)
            .is_err()
    );
    // Where a value is takes memory too.
    let mut long = Map::new();
    long.insert("k".repeat(1_000_000), json!(vec![0; 2000]));
    let long = Value::Object(long);
    let all = Query::parse("$.*[*]").unwrap();
    assert!(all.locate(&long).is_err());
    assert_eq!(all.select(&long).unwrap().len(), 2000);
    let doubled = format!("${}", "[*, *]".repeat(30));
    let nested = parse(&format!("{}1{}", "[".repeat(30), "]".repeat(30))).unwrap();
    assert_eq!(
        Query::parse(&doubled)
            .unwrap()
            .select(&nested)
            .unwrap()
            .len(),
        1
    );
    // What a user writes about a large body stays far below it.
    let body = json!({"items": vec![json!({"id": 1, "tags": ["a", "b"]}); 20_000]});
    assert_eq!(
        Query::parse("$.items[?@.id == 1].tags[0]")
            .unwrap()
            .select(&body)
            .unwrap()
            .len(),
        20_000
    );
    assert_eq!(
        Query::parse("$..id").unwrap().select(&body).unwrap().len(),
        20_000
    );
}

#[test]
fn costly_expressions_are_refused_before_they_are_parsed() {
    let refused = |text: &str| Query::parse(text).unwrap_err();
    assert!(refused(&format!("${}", "[?@.a".repeat(6))).contains("nested deeper than 4"));
    assert!(refused(&format!("${}", "(".repeat(40))).contains("deeper than 32"));
    assert!(refused(&"$".repeat(2000)).contains("1024"));
    assert!(refused("items").contains("starts with `$`"));
}
