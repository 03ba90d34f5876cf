//! Lists whose order varies.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::json;

/// What is known of the order of a list.
pub(super) enum Order<'v> {
    /// The elements stand where they stood.
    Same,
    /// The same elements stand elsewhere.
    Varies,
    /// Elements that are the same but for what varies in them stand elsewhere: each list with its elements in one order.
    Aligned(Vec<Vec<&'v Value>>),
    /// They stand elsewhere, and can't be told apart.
    Unclear,
}

/// Finds out whether lists of one length hold the same elements in other orders.
pub(super) fn order<'v>(lists: &[&'v [Value]]) -> Order<'v> {
    let shown: Vec<Vec<String>> = lists
        .iter()
        .map(|list| list.iter().map(json::show).collect())
        .collect();
    if shown.iter().all(|list| *list == shown[0]) {
        return Order::Same;
    }
    if is_permuted(&shown) {
        return Order::Varies;
    }
    // The parts of elements that all lists have, some of them elsewhere.
    let columns: Vec<BTreeMap<String, Vec<String>>> =
        lists.iter().map(|list| columns(list)).collect();
    let Some(first) = columns.first() else {
        return Order::Same;
    };
    let column = |place: &String| -> Option<Vec<Vec<String>>> {
        columns
            .iter()
            .map(|columns| columns.get(place).cloned())
            .collect()
    };
    let kept: Vec<Vec<Vec<String>>> = first
        .keys()
        .filter_map(column)
        .filter(|lists| is_permuted(lists))
        .collect();
    if kept
        .iter()
        .all(|lists| lists.iter().all(|list| *list == lists[0]))
    {
        return Order::Same;
    }
    let aligned = lists.iter().enumerate().map(|(n, list)| {
        let key = |element: usize| -> Vec<&String> {
            kept.iter().map(|lists| &lists[n][element]).collect()
        };
        let mut order: Vec<usize> = (0..list.len()).collect();
        order.sort_by_key(|element| key(*element));
        let keys: Vec<Vec<String>> = order
            .iter()
            .map(|e| key(*e).into_iter().cloned().collect())
            .collect();
        let elements: Vec<&Value> = order.iter().map(|element| &list[*element]).collect();
        (keys, elements)
    });
    let (keys, aligned): (Vec<_>, Vec<_>) = aligned.unzip();
    let is_clear =
        keys.iter().all(|own| *own == keys[0]) && keys[0].windows(2).all(|pair| pair[0] != pair[1]);
    match is_clear {
        true => Order::Aligned(aligned),
        false => Order::Unclear,
    }
}

/// Returns whether lists hold the same in whatever order.
fn is_permuted(lists: &[Vec<String>]) -> bool {
    let sorted = |list: &Vec<String>| {
        let mut sorted = list.clone();
        sorted.sort_unstable();
        sorted
    };
    let first = sorted(&lists[0]);
    lists.iter().skip(1).all(|list| sorted(list) == first)
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
                leaves(
                    member,
                    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")),
                    columns,
                );
            }
        }
        other => columns.entry(at).or_default().push(json::show(other)),
    }
}
