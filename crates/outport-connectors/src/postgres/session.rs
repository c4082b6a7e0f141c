//! One connection: log in, run statements, describe them, copy out.

use std::io::{self, Read, Write};

use bytes::BytesMut;
use outport_core::secret::Secret;
use outport_core::{Error, ErrorKind, Result};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

use super::error::{ServerError, protocol};
use super::settings::Settings;
use super::socket::{Interrupt, Socket, cancelled, unreachable};

/// What the buffer grows by, and shrinks back to behind a very large row.
const BUFFER: usize = 256 << 10;

/// A row of a small result: the columns as text, NULL as `None`.
pub(super) type Row = Vec<Option<String>>;

/// A column as the server describes it before a statement runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) type_oid: u32,
    pub(super) type_modifier: i32,
}

/// A failure: the server's, which says where in the statement, or ours.
#[derive(Debug)]
pub(super) enum Failure {
    Server(ServerError),
    Ours(Error),
}

impl Failure {
    /// The error of Outport; `sql` is the statement that failed.
    pub(super) fn into_error(self, sql: &str) -> Error {
        match self {
            Self::Server(error) => error.into_error(sql),
            Self::Ours(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// A logged-in connection; dropping it logs out.
pub(super) struct Session {
    socket: Socket,
    input: Buffer,
    interrupt: Interrupt,
    process_id: i32,
    server_version: u32,
}

impl Session {
    /// Connects and logs in. `interrupt` ends the session from another thread.
    pub(super) fn connect(settings: &Settings, interrupt: &Interrupt) -> Result<Self> {
        if interrupt.is_raised() {
            return Err(cancelled());
        }
        let (socket, address) = Socket::connect(settings)?;
        let mut session =
            Self { socket, input: Buffer::default(), interrupt: interrupt.clone(), process_id: 0, server_version: 0 };
        // A server, or whatever listens there, that accepts and then says nothing must not hold the run for ever.
        let limit = |session: &Self, timeout| {
            session.socket.transport().set_read_timeout(timeout).map_err(|e| unreachable(settings, &e))
        };
        limit(&session, Some(settings.connect_timeout))?;
        let key = session.log_in(settings).map_err(|failure| failure.into_error(""))?;
        limit(&session, None)?;
        session.process_id = key.0;
        interrupt.watch(&session.socket, &address, settings.connect_timeout, key)?;
        // Dates and times as text, floats to the last bit, and rows of a table from its start, whoever else is reading it.
        session.execute(
            "SET datestyle = 'ISO'; SET intervalstyle = 'iso_8601'; SET timezone = 'UTC'; SET extra_float_digits = 3; \
             SET bytea_output = 'hex'; SET synchronize_seqscans = off",
        )?;
        Ok(session)
    }

    /// The major version of the server: 15.
    pub(super) fn server_version(&self) -> u32 {
        self.server_version
    }

    /// Runs statements that give no rows anyone wants; returns the number of rows the last one touched.
    pub(super) fn execute(&mut self, sql: &str) -> Result<u64> {
        self.simple(sql).map(|(_, touched)| touched).map_err(|failure| failure.into_error(sql))
    }

    /// Runs a query of our own and gives its rows as text; for small results.
    pub(super) fn rows(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.simple(sql).map(|(rows, _)| rows).map_err(|failure| failure.into_error(sql))
    }

    /// Says which columns a statement would give, without running it.
    pub(super) fn describe(&mut self, sql: &str) -> Result<Vec<Described>, Failure> {
        self.send(|out| {
            frontend::parse("", sql, [], out)?;
            frontend::describe(b'S', "", out)?;
            frontend::sync(out);
            Ok(())
        })?;
        let mut columns = Vec::new();
        let mut failure = None;
        loop {
            let (tag, body) = self.receive()?;
            match tag {
                b'T' => columns = parse_row_description(body)?,
                b'E' => failure = Some(ServerError::parse(body)),
                b'Z' => break,
                // ParseComplete, ParameterDescription, NoData
                b'1' | b't' | b'n' => {}
                other => return Err(unexpected(other).into()),
            }
        }
        failure.map_or(Ok(columns), |failure| Err(Failure::Server(failure)))
    }

    /// Runs a `COPY … TO STDOUT` and hands the payload of every message to `sink`: one row, the first of them behind the
    /// header of the format.
    pub(super) fn copy_out(&mut self, sql: &str, mut sink: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.send(|out| frontend::query(sql, out))?;
        let mut failure = None;
        loop {
            let (tag, body) = self.receive()?;
            match tag {
                b'd' => sink(body)?,
                b'E' => failure = Some(ServerError::parse(body)),
                b'Z' => break,
                // CopyOutResponse, CopyDone, CommandComplete
                b'H' | b'c' | b'C' => {}
                other => return Err(unexpected(other)),
            }
        }
        failure.map_or(Ok(()), |failure| Err(failure.into_error(sql)))
    }

    fn simple(&mut self, sql: &str) -> Result<(Vec<Row>, u64), Failure> {
        self.send(|out| frontend::query(sql, out))?;
        let (mut rows, mut touched, mut failure) = (Vec::new(), 0, None);
        loop {
            let (tag, body) = self.receive()?;
            match tag {
                b'D' => rows.push(parse_row(body)?),
                b'C' => {
                    let text = String::from_utf8_lossy(body);
                    touched = text.trim_end_matches('\0').rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
                }
                b'E' => failure = Some(ServerError::parse(body)),
                b'Z' => break,
                // RowDescription, EmptyQueryResponse
                b'T' | b'I' => {}
                b'G' | b'H' | b'W' => {
                    return Err(Error::new(ErrorKind::Unsupported, "a COPY statement cannot be run here").into());
                }
                other => return Err(unexpected(other).into()),
            }
        }
        failure.map_or(Ok((rows, touched)), |failure| Err(Failure::Server(failure)))
    }

    fn log_in(&mut self, settings: &Settings) -> Result<(i32, i32), Failure> {
        let mut parameters = vec![
            ("user", settings.user.as_str()),
            ("database", &settings.dbname),
            ("application_name", &settings.application_name),
            ("client_encoding", "UTF8"),
        ];
        if let Some(options) = &settings.options {
            parameters.push(("options", options));
        }
        self.send(|out| frontend::startup_message(parameters, out))?;

        let mut scram = None;
        let mut key = (0, 0);
        loop {
            let (tag, body) = self.receive()?;
            match tag {
                b'R' => {
                    let body = body.to_vec();
                    self.authenticate(&body, settings, &mut scram)?;
                }
                b'K' if body.len() >= 8 => key = (int4(body, 0)?, int4(body, 4)?),
                b'E' => return Err(Failure::Server(ServerError::parse(body))),
                b'Z' => return Ok(key),
                other => return Err(unexpected(other).into()),
            }
        }
    }

    fn authenticate(&mut self, body: &[u8], settings: &Settings, scram: &mut Option<ScramSha256>) -> Result<()> {
        let password = || {
            settings.password.as_ref().map(Secret::expose).ok_or_else(|| {
                Error::new(
                    ErrorKind::Auth,
                    format!(
                        "{} asks for a password for user \"{}\", and none is given",
                        settings.server(),
                        settings.user
                    ),
                )
                .hint("set `password`, PGPASSWORD, or a line in the password file")
            })
        };
        let refused = |e: io::Error| {
            Error::new(
                ErrorKind::Auth,
                format!("{} could not prove that it knows the password: {e}", settings.server()),
            )
        };
        let data = body.get(4..).unwrap_or_default();
        match int4(body, 0)? {
            0 => Ok(()),
            3 => {
                let password = password()?;
                self.send(|out| frontend::password_message(password.as_bytes(), out))
            }
            5 => {
                let salt = data.try_into().map_err(|_| protocol("a salt of 4 bytes was expected"))?;
                let hash = md5_hash(settings.user.as_bytes(), password()?.as_bytes(), salt);
                self.send(|out| frontend::password_message(hash.as_bytes(), out))
            }
            10 => {
                if !data.split(|b| *b == 0).any(|mechanism| mechanism == SCRAM_SHA_256.as_bytes()) {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        format!("{} offers no SASL mechanism that Outport knows", settings.server()),
                    )
                    .hint("known: SCRAM-SHA-256"));
                }
                let client = scram.insert(ScramSha256::new(password()?.as_bytes(), ChannelBinding::unsupported()));
                let first = client.message().to_vec();
                self.send(|out| frontend::sasl_initial_response(SCRAM_SHA_256, &first, out))
            }
            11 => {
                let client = scram.as_mut().ok_or_else(|| protocol("SASL goes on before it began"))?;
                client.update(data).map_err(refused)?;
                let proof = client.message().to_vec();
                self.send(|out| frontend::sasl_response(&proof, out))
            }
            12 => scram.as_mut().ok_or_else(|| protocol("SASL ends before it began"))?.finish(data).map_err(refused),
            other => Err(Error::new(
                ErrorKind::Unsupported,
                format!("{} asks for authentication method {other}, which Outport does not have", settings.server()),
            )
            .hint("known: trust, password, md5, scram-sha-256; change the line for this user in pg_hba.conf")),
        }
    }

    fn send(&mut self, build: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<()> {
        let mut out = BytesMut::new();
        build(&mut out).map_err(|e| Error::new(ErrorKind::Usage, format!("the statement cannot be sent: {e}")))?;
        let sent = self.socket.write_all(&out).and_then(|()| self.socket.flush());
        sent.map_err(|e| self.lost(e))
    }

    /// The next message that is not a notice: its tag and body.
    fn receive(&mut self) -> Result<(u8, &[u8])> {
        loop {
            let (tag, start, end) = match self.input.next_message()? {
                Some(message) => message,
                None => {
                    if let Err(error) = self.input.fill(&mut self.socket) {
                        return Err(self.lost(error));
                    }
                    continue;
                }
            };
            match tag {
                b'S' => {
                    if let Some(version) = server_version(&self.input.bytes[start..end]) {
                        self.server_version = version;
                    }
                }
                b'N' | b'A' => {}
                _ => return Ok((tag, &self.input.bytes[start..end])),
            }
        }
    }

    fn lost(&self, error: io::Error) -> Error {
        if self.interrupt.is_raised() {
            return cancelled();
        }
        Error::new(ErrorKind::Connection, format!("the connection to PostgreSQL was lost: {error}"))
            .hint("the server's log says why; nothing that was read is kept")
            .with_source(error)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.interrupt.forget(self.process_id);
        // A courtesy: the server notices a closed socket as well.
        let _ = self.send(|out| {
            frontend::terminate(out);
            Ok(())
        });
    }
}

/// Bytes that were received and not yet read.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// The next whole message, `(tag, start, end)` of its body; `None` until more is received.
    #[inline]
    fn next_message(&mut self) -> Result<Option<(u8, usize, usize)>> {
        let Some(head) = self.bytes[self.start..self.end].first_chunk::<5>() else { return Ok(None) };
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length < 4 {
            return Err(protocol(format_args!("a message of {length} bytes")));
        }
        let (start, end) = (self.start + 5, self.start + 1 + length);
        if end > self.end {
            return Ok(None);
        }
        let tag = head[0];
        self.start = end;
        Ok(Some((tag, start, end)))
    }

    /// Receives more, behind what is left.
    fn fill(&mut self, socket: &mut Socket) -> io::Result<()> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let wanted = match self.bytes[..self.end].first_chunk::<5>() {
            Some(head) => u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize + 1,
            None => 0,
        };
        // A row may have a gigabyte: the buffer grows as it arrives, and not on the word of its length alone.
        let size = if self.end < BUFFER { BUFFER } else { wanted.clamp(self.end + BUFFER, self.end * 2) };
        if self.bytes.len() < size || self.bytes.len() > 4 * size {
            self.bytes.resize(size, 0);
            self.bytes.shrink_to(size);
        }
        loop {
            match socket.read(&mut self.bytes[self.end..]) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it")),
                Ok(n) => {
                    self.end += n;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn unexpected(tag: u8) -> Error {
    protocol(format_args!("an unexpected message '{}'", tag.escape_ascii()))
}

fn server_version(body: &[u8]) -> Option<u32> {
    let value = body.strip_prefix(b"server_version\0")?;
    let digits: String = value.iter().take_while(|b| b.is_ascii_digit()).map(|b| *b as char).collect();
    digits.parse().ok()
}

fn parse_row(body: &[u8]) -> Result<Row> {
    let count = usize::try_from(int2(body, 0)?).unwrap_or(0);
    let mut row = Vec::with_capacity(count);
    let mut at = 2;
    for _ in 0..count {
        let length = int4(body, at)?;
        at += 4;
        row.push(match usize::try_from(length) {
            Ok(length) => {
                let text = body.get(at..at + length).ok_or_else(|| protocol("a row ends early"))?;
                at += length;
                Some(String::from_utf8_lossy(text).into_owned())
            }
            Err(_) => None,
        });
    }
    Ok(row)
}

fn parse_row_description(body: &[u8]) -> Result<Vec<Described>> {
    let count = int2(body, 0)?;
    let mut at = 2;
    (0..count)
        .map(|_| {
            let rest = body.get(at..).unwrap_or_default();
            let end = rest.iter().position(|b| *b == 0).ok_or_else(|| protocol("a column name does not end"))?;
            let name = String::from_utf8_lossy(&rest[..end]).into_owned();
            // Behind the name: table oid, column number, type oid, type size, type modifier, format.
            let column = Described {
                name,
                type_oid: int4(rest, end + 7)?.cast_unsigned(),
                type_modifier: int4(rest, end + 13)?,
            };
            at += end + 19;
            Ok(column)
        })
        .collect()
}

fn int4(bytes: &[u8], at: usize) -> Result<i32> {
    bytes
        .get(at..)
        .and_then(|b| b.first_chunk())
        .map(|b| i32::from_be_bytes(*b))
        .ok_or_else(|| protocol("a message ends early"))
}

fn int2(bytes: &[u8], at: usize) -> Result<i16> {
    bytes
        .get(at..)
        .and_then(|b| b.first_chunk())
        .map(|b| i16::from_be_bytes(*b))
        .ok_or_else(|| protocol("a message ends early"))
}
