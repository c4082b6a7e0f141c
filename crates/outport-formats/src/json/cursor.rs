//! A walk over the bytes of JSON text.

/// What is wrong with JSON text, and the byte at which it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is no JSON.
    Syntax { at: usize, expected: &'static str },
    /// A value is of another type than its column.
    Misfit { at: usize, end: usize, column: String, expected: String },
    /// An object has a member that the schema does not have.
    Unknown { at: usize, name: String },
    /// An object has a member twice.
    Twice { at: usize, name: String },
}

/// How deep values may be nested before the text is taken to be an attack on the stack.
const DEEPEST: usize = 128;

/// A place in JSON text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) data: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    /// The byte here; zero at the end, which no JSON text holds.
    #[inline]
    pub(super) fn peek(&self) -> u8 {
        self.data.get(self.at).copied().unwrap_or(0)
    }

    /// Goes over white space.
    #[inline]
    pub(super) fn blank(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    pub(super) fn syntax(&self, expected: &'static str) -> Fault {
        Fault::Syntax { at: self.at, expected }
    }

    /// Goes over `byte` and the white space around it.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Fault> {
        self.blank();
        if self.peek() != byte {
            return Err(self.syntax(expected));
        }
        self.at += 1;
        self.blank();
        Ok(())
    }

    /// Goes over `byte` and the white space around it where it is here.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.blank();
        let here = self.peek() == byte;
        if here {
            self.at += 1;
            self.blank();
        }
        here
    }

    /// Goes over a string; its text between the quotes, and whether there are escapes in it.
    #[inline]
    pub(super) fn string(&mut self) -> Result<(&'a [u8], bool), Fault> {
        if self.peek() != b'"' {
            return Err(self.syntax("a string"));
        }
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            match memchr::memchr2(b'"', b'\\', self.data.get(at..).unwrap_or_default()) {
                None => {
                    return Err(self.syntax("a string that is closed"));
                }
                Some(length) if self.data[at + length] == b'"' => {
                    at += length;
                    break;
                }
                Some(length) => {
                    escaped = true;
                    at += length + 2;
                }
            }
        }
        self.at = at + 1;
        Ok((&self.data[start..at], escaped))
    }

    /// Goes over a number or a word.
    #[inline]
    pub(super) fn token(&mut self) -> &'a [u8] {
        let start = self.at;
        while matches!(self.peek(), b'0'..=b'9' | b'+' | b'-' | b'.' | b'a'..=b'z' | b'A'..=b'Z') {
            self.at += 1;
        }
        &self.data[start..self.at]
    }

    /// Goes over `null` where it is here.
    #[inline]
    pub(super) fn null(&mut self) -> bool {
        let here = self.peek() == b'n' && self.data[self.at..].starts_with(b"null");
        self.at += if here { 4 } else { 0 };
        here
    }

    /// Goes over a value of any kind; its text.
    pub(super) fn skip(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.at;
        self.skip_nested(0)?;
        Ok(&self.data[start..self.at])
    }

    fn skip_nested(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > DEEPEST {
            return Err(self.syntax("values that are not nested that deeply"));
        }
        match self.peek() {
            b'"' => self.string().map(|_| ()),
            open @ (b'{' | b'[') => {
                let close = if open == b'{' { b'}' } else { b']' };
                self.at += 1;
                self.blank();
                if self.peek() == close {
                    self.at += 1;
                    return Ok(());
                }
                loop {
                    self.blank();
                    if open == b'{' {
                        self.string()?;
                        self.expect(b':', "a colon")?;
                    }
                    self.skip_nested(depth + 1)?;
                    self.blank();
                    match self.peek() {
                        b',' => self.at += 1,
                        byte if byte == close => {
                            self.at += 1;
                            return Ok(());
                        }
                        _ => return Err(self.syntax("a comma or the end of the object or array")),
                    }
                }
            }
            _ => match self.token() {
                b"true" | b"false" | b"null" => Ok(()),
                token if is_number(token) => Ok(()),
                _ => Err(self.syntax("a value")),
            },
        }
    }
}

/// Whether a token is a JSON number.
pub(super) fn is_number(token: &[u8]) -> bool {
    let digits = token.strip_prefix(b"-").unwrap_or(token);
    digits.first().is_some_and(u8::is_ascii_digit)
        && std::str::from_utf8(token).is_ok_and(|text| text.parse::<f64>().is_ok())
}

/// Appends the text of a string with escapes in it; `false` where one is malformed.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let Some(letter) = rest.get(at + 1) else {
            return false;
        };
        rest = &rest[at + 2..];
        let byte = match letter {
            b'"' | b'\\' | b'/' => *letter,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let Some(mut code) = hex(rest) else {
                    return false;
                };
                rest = &rest[4..];
                if (0xD800..0xDC00).contains(&code)
                    && rest.starts_with(b"\\u")
                    && let Some(low) = hex(&rest[2..]).filter(|low| (0xDC00..0xE000).contains(low))
                {
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                    rest = &rest[6..];
                }
                // Half of a surrogate pair is no character.
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return false,
        };
        out.push(byte);
    }
    out.extend_from_slice(rest);
    true
}

fn hex(text: &[u8]) -> Option<u32> {
    let digits = text.get(..4)?;
    digits.iter().try_fold(0, |code, byte| Some(code << 4 | char::from(*byte).to_digit(16)?))
}
