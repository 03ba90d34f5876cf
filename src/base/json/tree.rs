//! JSON that is read once: a tree that borrows from its text, and a trait for reading it and `serde_json`'s
//! values alike.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::deep::from_text;
use crate::base::document::Way;

/// A JSON value that copies nothing that it can borrow from its text. Members keep their order; if a name
/// appears more than once, the last member counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Tree<'a>>),
    Object(Vec<(Cow<'a, str>, Tree<'a>)>),
}

impl<'a> Tree<'a> {
    /// Parses a text.
    pub(crate) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        from_text(text)
    }

    fn has_parts(&self) -> bool {
        matches!(self, Self::List(_) | Self::Object(_))
    }

    /// Calls `found` with the place of each member whose name another member of its object has too.
    pub(crate) fn repeated(&self, way: &Way<'_>, found: &mut impl FnMut(&Way<'_>)) {
        match self {
            Self::List(elements) => {
                for (n, element) in elements.iter().enumerate() {
                    if element.has_parts() {
                        element.repeated(&way.index(n), found);
                    }
                }
            }
            Self::Object(members) => {
                // For the few members of most objects a search is faster than a set.
                const FEW: usize = 16;
                let mut known = (members.len() > FEW).then(HashSet::new);
                for (n, (name, member)) in members.iter().enumerate() {
                    let repeated = match &mut known {
                        None => members[..n].iter().any(|(earlier, _)| earlier == name),
                        Some(known) => !known.insert(name),
                    };
                    if repeated {
                        found(&way.key(name));
                    }
                    if member.has_parts() {
                        member.repeated(&way.key(name), found);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Read access to a JSON value, whichever type holds it.
pub(crate) trait Json<'a>: Copy {
    /// Returns the member with that name, if any.
    fn member(self, name: &str) -> Option<Self>;
    /// Returns the names of the members if it is an object.
    fn names(self) -> Option<Vec<&'a str>>;
    /// Returns the elements if it is a list.
    fn elements(self) -> Option<impl Iterator<Item = Self>>;
    /// Returns the text if it is a string.
    fn text(self) -> Option<&'a str>;
    /// Returns the number if it is one.
    fn number(self) -> Option<&'a Number>;
    /// Returns the flag if it is a boolean.
    fn flag(self) -> Option<bool>;
    /// Returns whether it is `null`.
    fn is_nothing(self) -> bool;
    /// Returns whether it is an object.
    fn is_members(self) -> bool;
    /// Returns a copy as a `serde_json` value.
    fn copied(self) -> Value;
}

impl<'a> Json<'a> for &'a Value {
    fn member(self, name: &str) -> Option<Self> {
        self.get(name)
    }

    fn names(self) -> Option<Vec<&'a str>> {
        let members = self.as_object()?;
        Some(members.keys().map(String::as_str).collect())
    }

    fn elements(self) -> Option<impl Iterator<Item = Self>> {
        Some(self.as_array()?.iter())
    }

    fn text(self) -> Option<&'a str> {
        self.as_str()
    }

    fn number(self) -> Option<&'a Number> {
        self.as_number()
    }

    fn flag(self) -> Option<bool> {
        self.as_bool()
    }

    fn is_nothing(self) -> bool {
        self.is_null()
    }

    fn is_members(self) -> bool {
        self.is_object()
    }

    fn copied(self) -> Value {
        self.clone()
    }
}

impl<'a> Json<'a> for &'a Tree<'a> {
    fn member(self, name: &str) -> Option<Self> {
        let Tree::Object(members) = self else {
            return None;
        };
        let mut members = members.iter().rev();
        members.find(|(known, _)| known == name).map(|(_, v)| v)
    }

    fn names(self) -> Option<Vec<&'a str>> {
        match self {
            Tree::Object(members) => Some(members.iter().map(|(name, _)| &**name).collect()),
            _ => None,
        }
    }

    fn elements(self) -> Option<impl Iterator<Item = Self>> {
        match self {
            Tree::List(elements) => Some(elements.iter()),
            _ => None,
        }
    }

    fn text(self) -> Option<&'a str> {
        match self {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    fn number(self) -> Option<&'a Number> {
        match self {
            Tree::Number(number) => Some(number),
            _ => None,
        }
    }

    fn flag(self) -> Option<bool> {
        match self {
            Tree::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    fn is_nothing(self) -> bool {
        *self == Tree::Null
    }

    fn is_members(self) -> bool {
        matches!(self, Tree::Object(_))
    }

    fn copied(self) -> Value {
        match self {
            Tree::Null => Value::Null,
            Tree::Bool(flag) => (*flag).into(),
            Tree::Number(number) => Value::Number(number.clone()),
            Tree::Text(text) => (**text).into(),
            Tree::List(elements) => elements.iter().map(Json::copied).collect(),
            Tree::Object(members) => {
                let members = members
                    .iter()
                    .map(|(name, v)| ((**name).to_owned(), v.copied()));
                members.collect::<serde_json::Map<_, _>>().into()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Tree<'de>, E> {
        Ok(Tree::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree<'de>, E> {
        Ok(Number::from_f64(number).map_or(Tree::Null, Tree::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(text.to_owned().into()))
    }

    fn visit_unit<E>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = access.next_element()? {
            elements.push(element);
        }
        Ok(Tree::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = access.next_key_seed(Name)? {
            members.push((name, access.next_value()?));
        }
        Ok(Tree::Object(members))
    }
}

/// A member's name, borrowed if possible.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(text.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.to_owned().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_equals_what_serde_json_reads() {
        for text in [
            r#"{"a": [1, -2, 2.5, true, null, "x\n\u00e9"], "b\"": {"c": 18446744073709551615}}"#,
            "[]",
            "\"x\"",
            r#"{"a": 1, "a": 2}"#,
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            let tree = Tree::parse(text).unwrap();
            assert_eq!((&tree).copied(), value, "{text}");
            let (from_tree, from_value) = ((&tree).member("a"), (&value).member("a"));
            assert_eq!(from_tree.map(Json::copied), from_value.map(Json::copied));
        }
        let text = "{\"a\": \"plain\"}";
        let tree = Tree::parse(text).unwrap();
        let Tree::Object(members) = &tree else {
            panic!("{tree:?}");
        };
        assert!(matches!(members[0].1, Tree::Text(Cow::Borrowed(_))));
    }
}
