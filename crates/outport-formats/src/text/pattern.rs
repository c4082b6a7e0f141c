//! Date and time patterns: Java's, as users of Spark write them, and strftime's, which have a `%`.

use outport_core::{Error, ErrorKind, Result};

use super::write;
use super::zone::parse_offset;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A date and time as it stands on a calendar and a clock, and its zone where it has one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Civil<'a> {
    /// Seconds from 1970-01-01T00:00:00 on the same calendar and clock.
    pub(crate) seconds: i64,
    /// Nanoseconds of the second.
    pub(crate) nanos: u32,
    /// Seconds east of Greenwich.
    pub(crate) offset: Option<i32>,
    /// The name of the zone.
    pub(crate) zone: &'a str,
}

impl<'a> Civil<'a> {
    /// A date and time without a zone.
    pub(crate) fn new(seconds: i64, nanos: u32) -> Self {
        Self { seconds, nanos, offset: None, zone: "" }
    }

    /// The same with a zone.
    pub(crate) fn with_zone(self, offset: i32, zone: &'a str) -> Self {
        Self { offset: Some(offset), zone, ..self }
    }
}

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(String),
    /// The year with at least so many digits; 2 stands for the years 2000 to 2099.
    Year(usize),
    /// A number with at least so many digits.
    Month(usize),
    Day(usize),
    DayOfYear(usize),
    Hour(usize),
    Hour12(usize),
    Minute(usize),
    Second(usize),
    MonthName {
        short: bool,
    },
    DayName {
        short: bool,
    },
    /// AM or PM.
    HalfDay,
    /// Exactly so many digits of the fraction of the second.
    Fraction(usize),
    /// `+10:00`; `Z` for no offset where `zulu`.
    Offset {
        colon: bool,
        zulu: bool,
    },
    ZoneName,
    /// Left out where a zone is asked for that the value does not have.
    Optional(Vec<Item>),
}

impl Pattern {
    /// Compiles a pattern: strftime's where it has a `%`, else Java's.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for letters that stand for nothing known.
    pub(crate) fn parse(option: &str, text: &str) -> Result<Self> {
        let items = if text.contains('%') { strftime(text) } else { java(text) };
        match items {
            Ok(items) => Ok(Self { text: text.to_owned(), items }),
            Err(what) => {
                Err(Error::new(ErrorKind::Config, format!("option {option}: the pattern \"{text}\" has {what}"))
                    .hint("write it as Spark does (yyyy-MM-dd HH:mm:ss.SSS) or as strftime does (%Y-%m-%d %H:%M:%S)"))
            }
        }
    }

    /// Appends a value.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] where the pattern asks for a zone that the value does not have.
    pub(crate) fn write(&self, value: &Civil<'_>, out: &mut Vec<u8>) -> Result<()> {
        if write_items(&self.items, value, out) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Data,
            format!("the pattern \"{}\" asks for a zone, found a value without one", self.text),
        )
        .hint("put the zone in brackets, as in [XXX], or leave it out"))
    }

    /// Reads a value that makes up the whole of `text`.
    pub(crate) fn read(&self, text: &[u8]) -> Option<Civil<'static>> {
        let mut fields = Fields { year: 1970, month: 1, day: 1, ..Fields::default() };
        let end = read_items(&self.items, text, 0, &mut fields)?;
        if end != text.len() {
            return None;
        }
        let mut hour = fields.hour;
        if let Some(pm) = fields.pm {
            hour = hour % 12 + if pm { 12 } else { 0 };
        }
        if hour > 23 || fields.minute > 59 || fields.second > 59 {
            return None;
        }
        let days = match fields.day_of_year {
            Some(day) => write::days_from_civil(fields.year, 1, 1)? + i64::from(day) - 1,
            None => write::days_from_civil(fields.year, fields.month, fields.day)?,
        };
        let seconds = days * write::SECONDS_PER_DAY + i64::from(hour * 3600 + fields.minute * 60 + fields.second);
        Some(Civil { seconds, nanos: fields.nanos, offset: fields.offset, zone: "" })
    }
}

fn java(text: &str) -> Result<Vec<Item>, String> {
    let mut stack: Vec<Vec<Item>> = vec![Vec::new()];
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        let item = match letter {
            '\'' => {
                let mut literal = String::new();
                loop {
                    match rest.next() {
                        Some('\'') if rest.peek() == Some(&'\'') => literal.extend(rest.next()),
                        Some('\'') => break,
                        Some(other) => literal.push(other),
                        None => return Err("a quote that is not closed".to_owned()),
                    }
                }
                // Two quotes outside of quoted text are one quote.
                Item::Literal(if literal.is_empty() { "'".to_owned() } else { literal })
            }
            '[' => {
                stack.push(Vec::new());
                continue;
            }
            ']' => {
                let inner = stack.pop().unwrap_or_default();
                match stack.last_mut() {
                    Some(outer) => outer.push(Item::Optional(inner)),
                    None => return Err("a ] without its [".to_owned()),
                }
                continue;
            }
            letter if letter.is_ascii_alphabetic() => {
                let mut count = 1;
                while rest.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                java_item(letter, count)
                    .ok_or_else(|| format!("\"{}\", which stands for nothing", letter.to_string().repeat(count)))?
            }
            other => Item::Literal(other.to_string()),
        };
        if let Some(items) = stack.last_mut() {
            items.push(item);
        }
    }
    match (stack.pop(), stack.is_empty()) {
        (Some(items), true) => Ok(items),
        _ => Err("a [ without its ]".to_owned()),
    }
}

fn java_item(letter: char, count: usize) -> Option<Item> {
    Some(match (letter, count) {
        ('y' | 'u', 2) => Item::Year(2),
        ('y' | 'u', _) => Item::Year(count),
        ('M' | 'L', 1 | 2) => Item::Month(count),
        ('M' | 'L', 3) => Item::MonthName { short: true },
        ('M' | 'L', 4) => Item::MonthName { short: false },
        ('d', 1 | 2) => Item::Day(count),
        ('D', 1..=3) => Item::DayOfYear(count),
        ('H', 1 | 2) => Item::Hour(count),
        ('h', 1 | 2) => Item::Hour12(count),
        ('m', 1 | 2) => Item::Minute(count),
        ('s', 1 | 2) => Item::Second(count),
        ('S', 1..=9) => Item::Fraction(count),
        ('a', 1) => Item::HalfDay,
        ('E', 1..=3) => Item::DayName { short: true },
        ('E', 4) => Item::DayName { short: false },
        ('X', 3) => Item::Offset { colon: true, zulu: true },
        ('X', 1 | 2) => Item::Offset { colon: false, zulu: true },
        ('x', 3) => Item::Offset { colon: true, zulu: false },
        ('x' | 'Z', 1 | 2) | ('Z', 3) => Item::Offset { colon: false, zulu: false },
        ('Z', 5) => Item::Offset { colon: true, zulu: true },
        ('V', 2) | ('z', 1..=4) => Item::ZoneName,
        _ => return None,
    })
}

fn strftime(text: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter != '%' {
            items.push(Item::Literal(letter.to_string()));
            continue;
        }
        let code = rest.next();
        let item = match code {
            Some('Y') => Item::Year(4),
            Some('y') => Item::Year(2),
            Some('m') => Item::Month(2),
            Some('d') => Item::Day(2),
            Some('e') => Item::Day(1),
            Some('j') => Item::DayOfYear(3),
            Some('H') => Item::Hour(2),
            Some('I') => Item::Hour12(2),
            Some('M') => Item::Minute(2),
            Some('S') => Item::Second(2),
            Some('f') => Item::Fraction(6),
            Some('g') => Item::Fraction(3),
            Some('n') => Item::Fraction(9),
            Some('b' | 'h') => Item::MonthName { short: true },
            Some('B') => Item::MonthName { short: false },
            Some('a') => Item::DayName { short: true },
            Some('A') => Item::DayName { short: false },
            Some('p') => Item::HalfDay,
            Some('z') => Item::Offset { colon: false, zulu: false },
            Some('Z') => Item::ZoneName,
            Some('%') => Item::Literal("%".to_owned()),
            Some(':') if rest.as_str().starts_with('z') => {
                rest.next();
                Item::Offset { colon: true, zulu: false }
            }
            Some(digit @ '1'..='9') if rest.as_str().starts_with('f') => {
                rest.next();
                Item::Fraction(digit as usize - '0' as usize)
            }
            Some('F') => {
                items.extend(strftime("%Y-%m-%d")?);
                continue;
            }
            Some('T') => {
                items.extend(strftime("%H:%M:%S")?);
                continue;
            }
            Some(other) => return Err(format!("\"%{other}\", which stands for nothing")),
            None => return Err("a % at its end".to_owned()),
        };
        items.push(item);
    }
    Ok(items)
}

/// Appends the items; `false` where one asks for a zone and there is none.
fn write_items(items: &[Item], value: &Civil<'_>, out: &mut Vec<u8>) -> bool {
    let days = value.seconds.div_euclid(write::SECONDS_PER_DAY);
    let of_day = value.seconds.rem_euclid(write::SECONDS_PER_DAY) as u64;
    let (year, month, day) = write::civil_from_days(days);
    let hour = of_day / 3600;
    for item in items {
        match item {
            Item::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Item::Year(2) => write::padded(year.rem_euclid(100) as u64, 2, out),
            Item::Year(width) => {
                if year < 0 {
                    out.push(b'-');
                } else if year > 9999 && *width >= 4 {
                    out.push(b'+');
                }
                write::padded(year.unsigned_abs(), *width, out);
            }
            Item::Month(width) => write::padded(month.into(), *width, out),
            Item::Day(width) => write::padded(day.into(), *width, out),
            Item::DayOfYear(width) => {
                let first = write::days_from_civil(year, 1, 1).unwrap_or(days);
                write::padded((days - first) as u64 + 1, *width, out);
            }
            Item::Hour(width) => write::padded(hour, *width, out),
            Item::Hour12(width) => write::padded((hour + 11) % 12 + 1, *width, out),
            Item::Minute(width) => write::padded(of_day / 60 % 60, *width, out),
            Item::Second(width) => write::padded(of_day % 60, *width, out),
            Item::MonthName { short } => out.extend_from_slice(name(&MONTHS, month as usize - 1, *short)),
            // 1970-01-01 was a Thursday.
            Item::DayName { short } => out.extend_from_slice(name(&DAYS, (days + 3).rem_euclid(7) as usize, *short)),
            Item::HalfDay => out.extend_from_slice(if hour < 12 { b"AM" } else { b"PM" }),
            Item::Fraction(digits) => {
                write::padded(u64::from(value.nanos) / 10u64.pow(9 - *digits as u32), *digits, out)
            }
            Item::Offset { colon, zulu } => match value.offset {
                None => return false,
                Some(0) if *zulu => out.push(b'Z'),
                Some(offset) => write::offset(offset, *colon, out),
            },
            Item::ZoneName if value.offset.is_none() => return false,
            Item::ZoneName => out.extend_from_slice(value.zone.as_bytes()),
            Item::Optional(inner) => {
                let start = out.len();
                if !write_items(inner, value, out) {
                    out.truncate(start);
                }
            }
        }
    }
    true
}

fn name(names: &[&'static str], at: usize, short: bool) -> &'static [u8] {
    let full = names[at % names.len()].as_bytes();
    if short { &full[..3] } else { full }
}

#[derive(Clone, Default)]
struct Fields {
    year: i64,
    month: u32,
    day: u32,
    day_of_year: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    pm: Option<bool>,
    offset: Option<i32>,
}

/// Reads the items from `at`; the place behind them.
fn read_items(items: &[Item], text: &[u8], mut at: usize, fields: &mut Fields) -> Option<usize> {
    for (index, item) in items.iter().enumerate() {
        // Digits run into each other in a pattern such as yyyyMMdd: there every number has its own width.
        let joined = matches!(
            items.get(index + 1),
            Some(
                Item::Month(_)
                    | Item::Day(_)
                    | Item::Hour(_)
                    | Item::Minute(_)
                    | Item::Second(_)
                    | Item::Fraction(_)
                    | Item::Year(_)
            )
        );
        let number =
            |at: &mut usize, width: usize, most: usize| digits(text, at, width, if joined { width } else { most });
        match item {
            Item::Literal(literal) => {
                let end = at + literal.len();
                if text.get(at..end)? != literal.as_bytes() {
                    return None;
                }
                at = end;
            }
            Item::Year(2) => fields.year = 2000 + i64::from(digits(text, &mut at, 2, 2)?),
            Item::Year(width) => {
                let sign = match text.get(at)? {
                    b'-' => -1,
                    _ => 1,
                };
                at += usize::from(matches!(text[at], b'-' | b'+'));
                fields.year = sign * i64::from(number(&mut at, (*width).min(4), 9)?);
            }
            Item::Month(width) => fields.month = number(&mut at, *width, 2)?,
            Item::Day(width) => fields.day = number(&mut at, *width, 2)?,
            Item::DayOfYear(width) => fields.day_of_year = Some(number(&mut at, *width, 3)?),
            Item::Hour(width) | Item::Hour12(width) => fields.hour = number(&mut at, *width, 2)?,
            Item::Minute(width) => fields.minute = number(&mut at, *width, 2)?,
            Item::Second(width) => fields.second = number(&mut at, *width, 2)?,
            Item::Fraction(width) => {
                let start = at;
                let value = digits(text, &mut at, 1, *width)?;
                fields.nanos = value * 10u32.pow(9 - (at - start) as u32);
            }
            Item::MonthName { short } => fields.month = read_name(&MONTHS, *short, text, &mut at)? as u32 + 1,
            Item::DayName { short } => {
                read_name(&DAYS, *short, text, &mut at)?;
            }
            Item::HalfDay => {
                let word = text.get(at..at + 2)?;
                fields.pm = Some(match word.to_ascii_uppercase().as_slice() {
                    b"AM" => false,
                    b"PM" => true,
                    _ => return None,
                });
                at += 2;
            }
            Item::Offset { .. } => {
                let (offset, length) = parse_offset(&text[at..])?;
                fields.offset = Some(offset);
                at += length;
            }
            Item::ZoneName => {
                let length = text[at..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
                if !matches!(&text[at..at + length], b"UTC" | b"GMT" | b"Z") {
                    return None;
                }
                fields.offset = Some(0);
                at += length;
            }
            Item::Optional(inner) => {
                let mut with = fields.clone();
                if let Some(end) = read_items(inner, text, at, &mut with) {
                    *fields = with;
                    at = end;
                }
            }
        }
    }
    Some(at)
}

fn digits(text: &[u8], at: &mut usize, least: usize, most: usize) -> Option<u32> {
    let start = *at;
    let mut value: u32 = 0;
    while *at - start < most && text.get(*at).is_some_and(u8::is_ascii_digit) {
        value = value.checked_mul(10)?.checked_add(u32::from(text[*at] - b'0'))?;
        *at += 1;
    }
    (*at - start >= least).then_some(value)
}

fn read_name(names: &[&'static str], short: bool, text: &[u8], at: &mut usize) -> Option<usize> {
    let found = (0..names.len()).find(|index| {
        let wanted = name(names, *index, short);
        text.get(*at..*at + wanted.len()).is_some_and(|word| word.eq_ignore_ascii_case(wanted))
    })?;
    *at += name(names, found, short).len();
    Some(found)
}
