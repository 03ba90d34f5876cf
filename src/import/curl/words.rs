//! Splits a text into commands and their words, as a shell does, but for what a shell would fill in.

use std::iter::Peekable;
use std::str::Chars;

/// A command line of curl.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// The line in which it begins, from 1 on.
    pub(super) line: usize,
    /// Its words, without the first.
    pub(super) words: Vec<String>,
}

/// Returns the command lines of a text. What another command does with what curl prints is left out.
///
/// # Errors
///
/// The line, and what is wrong there.
pub(super) fn commands(text: &str) -> Result<Vec<Command>, (usize, String)> {
    let mut reader = Reader {
        chars: text.chars().peekable(),
        line: 1,
    };
    let mut commands = Vec::new();
    let mut is_piped = false;
    loop {
        let (line, words, end) = reader.command()?;
        // Documentation begins with a prompt.
        let words = words.strip_prefix(&["$".to_owned()]).unwrap_or(&words);
        if let Some((first, words)) = words.split_first() {
            let name = first.rsplit(['/', '\\']).next().unwrap_or_default();
            let is_curl = matches!(name, "curl" | "curl.exe");
            if is_curl {
                let words = words.to_vec();
                commands.push(Command { line, words });
            } else if !is_piped {
                return Err((line, format!("`{name}` is not curl")));
            }
        }
        match end {
            End::Text => return Ok(commands),
            End::Pipe => is_piped = true,
            End::Other => is_piped = false,
        }
    }
}

/// What ends a command.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Text,
    Pipe,
    Other,
}

struct Reader<'t> {
    chars: Peekable<Chars<'t>>,
    line: usize,
}

type Fault = (usize, String);

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.chars.next();
        if c == Some('\n') {
            self.line += 1;
        }
        c
    }

    fn fault(&self, why: &str) -> Fault {
        (self.line, why.to_owned())
    }

    /// Reads a command: the line in which it begins, its words, and what ends it.
    fn command(&mut self) -> Result<(usize, Vec<String>, End), Fault> {
        let mut words = Vec::new();
        let mut start = self.line;
        loop {
            match self.chars.peek() {
                None => return Ok((start, words, End::Text)),
                Some('\n' | ';' | '&' | '|') => {
                    let end = match self.next() {
                        // `||` is no pipe.
                        Some('|') if self.chars.next_if_eq(&'|').is_none() => End::Pipe,
                        _ => End::Other,
                    };
                    if words.is_empty() && end != End::Pipe {
                        start = self.line;
                        continue;
                    }
                    return Ok((start, words, end));
                }
                Some(' ' | '\t' | '\r') => {
                    self.next();
                }
                Some('#') => {
                    while self.chars.peek().is_some_and(|c| *c != '\n') {
                        self.next();
                    }
                }
                // Where the output goes is no part of the request.
                Some('>') => {
                    while self
                        .chars
                        .next_if(|c| matches!(c, '>' | '&' | '|' | ' ' | '\t'))
                        .is_some()
                    {}
                    self.word()?;
                }
                Some('<') => {
                    return Err(self.fault("`<` is not read; name the file with -d @FILE"));
                }
                Some(_) => {
                    if words.is_empty() {
                        start = self.line;
                    }
                    if let Some(word) = self.word()? {
                        words.push(word);
                    }
                }
            }
        }
    }

    /// Reads a word; `None` if only the end of a line was between words.
    fn word(&mut self) -> Result<Option<String>, Fault> {
        let (mut word, mut is_word) = (String::new(), false);
        while let Some(&c) = self.chars.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' => break,
                '\'' => {
                    let line = self.line;
                    self.next();
                    loop {
                        match self.next() {
                            None => return Err((line, UNCLOSED.to_owned())),
                            Some('\'') => break,
                            Some(c) => word.push(c),
                        }
                    }
                }
                '"' => {
                    self.next();
                    self.quoted(&mut word)?;
                }
                '$' => {
                    self.next();
                    match self.chars.peek() {
                        Some('\'') => {
                            self.next();
                            self.escaped(&mut word)?;
                        }
                        _ => self.dollar(&mut word)?,
                    }
                }
                '`' => return Err(self.fault(COMMAND)),
                '^' if self.is_for_windows() => {
                    return Err(self.fault(
                        "this is written for the command line of Windows; copy it as cURL (bash)",
                    ));
                }
                '\\' => {
                    self.next();
                    match self.next() {
                        // The command goes on in the next line.
                        Some('\n') => continue,
                        Some('\r') if self.chars.peek() == Some(&'\n') => {
                            self.next();
                            continue;
                        }
                        Some(c) => word.push(c),
                        None => {}
                    }
                }
                c => {
                    self.next();
                    word.push(c);
                }
            }
            is_word = true;
        }
        // The number of an output.
        let is_number = self.chars.peek() == Some(&'>') && word.chars().all(|c| c.is_ascii_digit());
        Ok((is_word && !is_number).then_some(word))
    }

    fn is_for_windows(&self) -> bool {
        let mut ahead = self.chars.clone();
        ahead.next();
        matches!(ahead.next(), Some('"' | '\n' | '\r'))
    }

    /// Reads what stands after `"`.
    fn quoted(&mut self, word: &mut String) -> Result<(), Fault> {
        let line = self.line;
        loop {
            match self.next() {
                None => return Err((line, UNCLOSED.to_owned())),
                Some('"') => return Ok(()),
                Some('`') => return Err(self.fault(COMMAND)),
                Some('$') => self.dollar(word)?,
                Some('\\') => match self.next() {
                    Some('\n') => {}
                    Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                    Some(c) => word.extend(['\\', c]),
                    None => return Err((line, UNCLOSED.to_owned())),
                },
                Some(c) => word.push(c),
            }
        }
    }

    /// Takes a `$` that stands for itself.
    fn dollar(&mut self, word: &mut String) -> Result<(), Fault> {
        match self.chars.peek() {
            Some('(') => Err(self.fault(COMMAND)),
            Some(c) if c.is_alphanumeric() || "_{?!@*#$".contains(*c) => Err(self.fault(
                "`$` stands for a variable, which is not filled in; write its value, or quote it with '",
            )),
            _ => {
                word.push('$');
                Ok(())
            }
        }
    }

    /// Reads what stands after `$'`, where escapes may stand for single bytes.
    fn escaped(&mut self, word: &mut String) -> Result<(), Fault> {
        let line = self.line;
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let c = match self.next() {
                None => return Err((line, UNCLOSED.to_owned())),
                Some('\'') => break,
                Some('\\') => match self.next().ok_or_else(|| (line, UNCLOSED.to_owned()))? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'v' => '\u{b}',
                    'e' | 'E' => '\u{1b}',
                    'u' => self.code(4)?,
                    'U' => self.code(8)?,
                    'x' => {
                        bytes.push(self.byte(16, "", 2)?);
                        continue;
                    }
                    c @ '0'..='7' => {
                        bytes.push(self.byte(8, &c.to_string(), 2)?);
                        continue;
                    }
                    c => c,
                },
                Some(c) => c,
            };
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        match String::from_utf8(bytes) {
            Ok(text) => {
                word.push_str(&text);
                Ok(())
            }
            Err(_) => Err((
                line,
                "the escapes stand for bytes that are no text; give them with --data-binary @FILE"
                    .to_owned(),
            )),
        }
    }

    /// Reads the number of a byte, of which these digits are known and so many may follow.
    fn byte(&mut self, radix: u32, known: &str, more: usize) -> Result<u8, Fault> {
        let digits = format!("{known}{}", self.digits(radix, more));
        u8::from_str_radix(&digits, radix).map_err(|_| self.fault(NO_CHARACTER))
    }

    fn digits(&mut self, radix: u32, most: usize) -> String {
        let mut digits = String::new();
        while digits.len() < most
            && let Some(c) = self.chars.next_if(|c| c.is_digit(radix))
        {
            digits.push(c);
        }
        digits
    }

    fn code(&mut self, most: usize) -> Result<char, Fault> {
        let digits = self.digits(16, most);
        let mut code = u32::from_str_radix(&digits, 16).ok();
        // Browsers write what is outside the basic plane as two.
        if let Some(high) = code.filter(|code| (0xd800..0xdc00).contains(code)) {
            let mut ahead = self.chars.clone();
            if ahead.next() == Some('\\') && ahead.next() == Some('u') {
                let digits: String = ahead.by_ref().take(4).collect();
                let low = u32::from_str_radix(&digits, 16).ok();
                if let Some(low) = low.filter(|low| (0xdc00..0xe000).contains(low)) {
                    self.chars = ahead;
                    code = Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
                }
            }
        }
        let c = code.and_then(char::from_u32);
        c.ok_or_else(|| self.fault(NO_CHARACTER))
    }
}

const NO_CHARACTER: &str = "an escape after `\\` is no character";
const UNCLOSED: &str = "a quote is not closed";
const COMMAND: &str = "`$(` or a backtick stands for a command, which is not run; write what it gives, or quote it with '";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_by_a_shell() {
        for (text, wanted) in [
            ("curl a  b\t'c d'", vec!["a", "b", "c d"]),
            (
                r#"curl "a \"b\" \$ \n" c\ d ''"#,
                vec![r#"a "b" $ \n"#, "c d", ""],
            ),
            ("curl a\\\n  b\\\r\n  c", vec!["a", "b", "c"]),
            (
                r"curl $'\x41\u00e9\xc3\xa9\303\251\ud83d\ude00\101\t\'' 5$",
                vec!["Aééé😀A\t'", "5$"],
            ),
            ("curl a#b # a comment 'of mine\n", vec!["a#b"]),
        ] {
            let read = commands(text).unwrap();
            assert_eq!(read.len(), 1, "{text}");
            assert_eq!(read[0].words, wanted, "{text}");
        }
    }

    #[test]
    fn commands_have_their_lines() {
        let read =
            commands("\n# one\ncurl a \\\n b\n\n/usr/bin/curl c && curl d 2>&1 >>out | jq '.x'")
                .unwrap();
        let lines: Vec<usize> = read.iter().map(|command| command.line).collect();
        assert_eq!(lines, [3, 6, 6]);
        assert_eq!(read[2].words, ["d"]);
        assert!(commands("curl a < b").is_err());
        assert_eq!(
            commands("curl a || echo no"),
            Err((1, "`echo` is not curl".to_owned()))
        );
        assert_eq!(commands(r"curl $'\ud83d'").unwrap_err().0, 1);
        assert_eq!(commands(r"curl $'\xff'").unwrap_err().0, 1);
    }
}
