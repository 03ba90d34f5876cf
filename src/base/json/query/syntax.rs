//! The parts of a JSONPath (RFC 9535), read from text that is known to be one.

use serde_json::Value;

use super::super::number::parse;

/// A path: from the root, or from the node that a filter looks at.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub(super) from_root: bool,
    pub(super) segments: Vec<Segment>,
}

impl Path {
    /// Returns whether it may select a node more than once.
    pub(super) fn may_select_twice(&self) -> bool {
        let mut descents = 0;
        let mut segments = self.segments.iter();
        segments.any(|segment| {
            let selectors = match segment {
                Segment::Children(selectors) => selectors,
                Segment::Descendants(selectors) => {
                    descents += 1;
                    selectors
                }
            };
            selectors.len() > 1 || descents > 1
        })
    }
}

#[derive(Debug, Clone)]
pub(super) enum Segment {
    Children(Vec<Selector>),
    Descendants(Vec<Selector>),
}

#[derive(Debug, Clone)]
pub(super) enum Selector {
    Name(String),
    Wildcard,
    Index(i64),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    Filter(Condition),
}

#[derive(Debug, Clone)]
pub(super) enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Not(Box<Condition>),
    Exists(Path),
    Compare(Operand, Comparison, Operand),
    Matches {
        text: Operand,
        pattern: Operand,
        /// The pattern, if it is a literal.
        compiled: Option<Pattern>,
        /// Whether the whole text has to match, and not a part of it.
        whole: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Something that has a value, or nothing.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Literal(Value),
    /// A path that selects at most one node.
    Node(Path),
    Length(Box<Operand>),
    Count(Path),
    /// The value of a path's only node.
    Value(Path),
}

/// A regular expression; `None` if it is none, which matches nothing.
pub(super) type Pattern = Option<regex::Regex>;

/// Compiles an I-Regexp (RFC 9485).
pub(super) fn pattern(text: &str, whole: bool) -> Pattern {
    let (mut out, mut escaped, mut in_class) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '.' if !in_class => {
                out.push_str(r"[^\n\r]");
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    let anchored = match whole {
        true => format!("^(?:{out})$"),
        false => out,
    };
    regex::Regex::new(&anchored).ok()
}

/// Reads a path.
///
/// `None` if the text is no JSONPath, and for some texts that are none but look alike: whether it is one is for the
/// library to say.
pub(super) fn read(text: &str) -> Option<Path> {
    let mut reader = Reader { rest: text };
    let path = reader.path()?;
    reader.rest.is_empty().then_some(path)
}

/// What remains to be read.
struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes a token if it comes next.
    fn takes(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn path(&mut self) -> Option<Path> {
        let from_root = self.takes("$");
        if !from_root && !self.takes("@") {
            return None;
        }
        let mut segments = Vec::new();
        loop {
            let before = self.rest;
            self.skip_blanks();
            let segment = if self.takes("..") {
                match self.takes("[") {
                    true => Segment::Descendants(self.selectors()?),
                    false => Segment::Descendants(vec![self.shorthand()?]),
                }
            } else if self.takes(".") {
                Segment::Children(vec![self.shorthand()?])
            } else if self.takes("[") {
                Segment::Children(self.selectors()?)
            } else {
                self.rest = before;
                return Some(Path {
                    from_root,
                    segments,
                });
            };
            segments.push(segment);
        }
    }

    /// Reads what follows dots: a name without quotes, or `*`.
    fn shorthand(&mut self) -> Option<Selector> {
        if self.takes("*") {
            return Some(Selector::Wildcard);
        }
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii());
        (!name.is_empty()).then(|| Selector::Name(name.to_owned()))
    }

    /// Reads selectors up to the closing bracket.
    fn selectors(&mut self) -> Option<Vec<Selector>> {
        let mut selectors = Vec::new();
        loop {
            self.skip_blanks();
            selectors.push(self.selector()?);
            self.skip_blanks();
            if self.takes("]") {
                return Some(selectors);
            }
            if !self.takes(",") {
                return None;
            }
        }
    }

    fn selector(&mut self) -> Option<Selector> {
        match self.peek()? {
            '"' | '\'' => self.text().map(Selector::Name),
            '*' => {
                self.takes("*");
                Some(Selector::Wildcard)
            }
            '?' => {
                self.takes("?");
                self.condition().map(Selector::Filter)
            }
            _ => self.index_or_slice(),
        }
    }

    fn index_or_slice(&mut self) -> Option<Selector> {
        let start = self.integer();
        self.skip_blanks();
        if !self.takes(":") {
            return start.map(Selector::Index);
        }
        self.skip_blanks();
        let end = self.integer();
        self.skip_blanks();
        let mut step = 1;
        if self.takes(":") {
            self.skip_blanks();
            step = self.integer().unwrap_or(1);
        }
        Some(Selector::Slice { start, end, step })
    }

    fn integer(&mut self) -> Option<i64> {
        self.take_while(|c| c == '-' || c.is_ascii_digit())
            .parse()
            .ok()
    }

    fn condition(&mut self) -> Option<Condition> {
        self.chain("||", Self::conjunction, Condition::Any)
    }

    fn conjunction(&mut self) -> Option<Condition> {
        self.chain("&&", Self::basic, Condition::All)
    }

    /// Reads one or more conditions with an operator between them.
    fn chain(
        &mut self,
        operator: &str,
        part: impl Fn(&mut Self) -> Option<Condition>,
        join: impl Fn(Vec<Condition>) -> Condition,
    ) -> Option<Condition> {
        let first = part(self)?;
        let mut parts = vec![first];
        loop {
            self.skip_blanks();
            if !self.takes(operator) {
                break;
            }
            parts.push(part(self)?);
        }
        match parts.len() {
            1 => parts.pop(),
            _ => Some(join(parts)),
        }
    }

    fn basic(&mut self) -> Option<Condition> {
        self.skip_blanks();
        if self.takes("!") {
            return Some(Condition::Not(Box::new(self.basic()?)));
        }
        if self.takes("(") {
            let inner = self.condition()?;
            self.skip_blanks();
            return self.takes(")").then_some(inner);
        }
        if let Some(condition) = self.matching() {
            return Some(condition);
        }
        let left = self.operand()?;
        self.skip_blanks();
        let operators = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let operator = operators.into_iter().find(|(token, _)| self.takes(token));
        match (operator, left) {
            (Some((_, operator)), left) => {
                self.skip_blanks();
                Some(Condition::Compare(left, operator, self.operand()?))
            }
            (None, Operand::Node(path)) => Some(Condition::Exists(path)),
            (None, _) => None,
        }
    }

    /// Reads `match(…)` or `search(…)` if one comes next.
    fn matching(&mut self) -> Option<Condition> {
        let whole = self.takes("match(");
        if !whole && !self.takes("search(") {
            return None;
        }
        let text = self.argument()?;
        if !self.takes(",") {
            return None;
        }
        let given = self.argument()?;
        let compiled = match &given {
            Operand::Literal(Value::String(text)) => Some(pattern(text, whole)),
            _ => None,
        };
        self.takes(")").then_some(Condition::Matches {
            text,
            pattern: given,
            compiled,
            whole,
        })
    }

    /// Reads an argument with the blanks around it.
    fn argument(&mut self) -> Option<Operand> {
        self.skip_blanks();
        let argument = self.operand()?;
        self.skip_blanks();
        Some(argument)
    }

    /// Reads the path that is the only argument of a function.
    fn path_argument(&mut self) -> Option<Path> {
        self.skip_blanks();
        let path = self.path()?;
        self.skip_blanks();
        self.takes(")").then_some(path)
    }

    fn operand(&mut self) -> Option<Operand> {
        match self.peek()? {
            '$' | '@' => self.path().map(Operand::Node),
            '"' | '\'' => Some(Operand::Literal(self.text()?.into())),
            '-' | '0'..='9' => {
                let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
                parse(self.take_while(is_part)).ok().map(Operand::Literal)
            }
            _ if self.takes("length(") => {
                let argument = self.argument()?;
                self.takes(")").then(|| Operand::Length(Box::new(argument)))
            }
            _ if self.takes("count(") => self.path_argument().map(Operand::Count),
            _ if self.takes("value(") => self.path_argument().map(Operand::Value),
            _ if self.takes("true") => Some(Operand::Literal(true.into())),
            _ if self.takes("false") => Some(Operand::Literal(false.into())),
            _ if self.takes("null") => Some(Operand::Literal(Value::Null)),
            _ => None,
        }
    }

    /// Reads a text in quotes of either kind.
    fn text(&mut self) -> Option<String> {
        let quote = self.peek()?;
        let mut chars = self.rest.char_indices().skip(1);
        // As JSON, with the other quotes.
        let mut json = String::from('"');
        while let Some((at, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return serde_json::from_str(&(json + "\"")).ok();
                }
                '\\' => match chars.next()?.1 {
                    '\'' => json.push('\''),
                    escaped => json.extend(['\\', escaped]),
                },
                '"' => json.push_str("\\\""),
                c => json.push(c),
            }
        }
        None
    }
}
