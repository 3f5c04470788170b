//! The manager's database file: schema, rows in and out, retention. One connection, used by one thread.
//!
//! Contract: write-ahead log with an exclusive lock, so there is no shared-memory file (which a full disk could turn into
//! SIGBUS) and no second writer. Incidents are synced to disk at each commit, the rest at checkpoints; both survive kill -9. Does
//! not know the queue in front of it.

use crate::decision_json::DecisionJson;
use crate::sqlite_records::{
    ChangeId, Found, NOTIFICATIONS_MAX, Notification, NotificationId, Past, Pending, StoreError,
};
use crate::sqlite_rows::{HostRow, IncidentRow};
use rusqlite::{Connection, OptionalExtension, Params, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;
use watchtree_core::decision::Decision;
use watchtree_core::incident::Incident;
use watchtree_core::subject::SubjectId;

/// Version of the schema, in `PRAGMA user_version`. One more for each change that an older program cannot live with.
const SCHEMA_VERSION: i64 = 1;
/// Most decision records on disk; the oldest go first.
pub(crate) const DECISIONS_ON_DISK_MAX: u64 = 100_000;
/// Most closed incidents on disk; the oldest go first.
pub(crate) const INCIDENTS_ON_DISK_MAX: u64 = 10_000;
/// The write-ahead log is cut back to this at a checkpoint.
const WAL_BYTES_MAX: u64 = 4 * 1024 * 1024;

const SCHEMA: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE hosts(name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE incidents(id INTEGER PRIMARY KEY, subject TEXT NOT NULL, open INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
CREATE INDEX incidents_open ON incidents(open, id);
CREATE TABLE decisions(
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    node TEXT NOT NULL, epoch INTEGER NOT NULL, count INTEGER NOT NULL,
    subject TEXT NOT NULL, body TEXT NOT NULL,
    UNIQUE(node, epoch, count)
) STRICT;
PRAGMA user_version = 1;
";

/// What came after the first release of the schema and an older program can live with.
const ADDITIONS: &str = "
CREATE TABLE IF NOT EXISTS letters(
    term INTEGER NOT NULL, count INTEGER NOT NULL, receiver TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY(term, count, receiver)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS decisions_subject ON decisions(subject, place);
CREATE INDEX IF NOT EXISTS incidents_subject ON incidents(subject, id);
";

/// An open database.
#[derive(Debug)]
pub(crate) struct File {
    connection: Connection,
    decisions_since_prune: u64,
}

impl File {
    /// Opens or makes it, and begins with `first`. A file that is no database, or of which `first` finds a damaged part, is
    /// set aside as `PATH.corrupt`, and that is told in words.
    pub(crate) fn open<T>(
        path: &Path,
        first: impl Fn(&Self) -> rusqlite::Result<T>,
    ) -> Result<(Self, T, Option<String>), StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| StoreError(format!("cannot make {}: {error}", folder.display())))?;
        }
        let open = || {
            let file = Self::open_once(path)?;
            let begun = first(&file)?;
            Ok((file, begun))
        };
        match open() {
            Ok((file, begun)) => Ok((file, begun, None)),
            Err(OpenError::Corrupt(why)) => {
                let aside = PathBuf::from(format!("{}.corrupt", path.display()));
                std::fs::rename(path, &aside)
                    .map_err(|error| StoreError(format!("cannot set {} aside: {error}", path.display())))?;
                let words = format!(
                    "{} was damaged ({why}): set aside as {}",
                    path.display(),
                    aside.display()
                );
                let (file, begun) = open().map_err(|error| error.words(path))?;
                Ok((file, begun, Some(words)))
            }
            Err(error) => Err(error.words(path)),
        }
    }

    fn open_once(path: &Path) -> Result<Self, OpenError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(OpenError::Other(format!(
                "the file system allows no write-ahead log (mode {mode})"
            )));
        }
        connection.pragma_update(None, "journal_size_limit", signed(WAL_BYTES_MAX))?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version == 0 {
            connection.execute_batch(&format!("BEGIN IMMEDIATE;{SCHEMA}COMMIT;"))?;
        } else if SCHEMA_VERSION < version {
            return Err(OpenError::Other(format!(
                "it was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION}): install that version, or move the file away"
            )));
        }
        connection.execute_batch(&format!("BEGIN IMMEDIATE;{ADDITIONS}COMMIT;"))?;
        Ok(Self {
            connection,
            decisions_since_prune: 0,
        })
    }

    /// Everything the manager wants at its start. Rows that cannot be read are counted, not fatal.
    pub(crate) fn load(&self, decisions_max: usize) -> rusqlite::Result<Found> {
        let mut found = Found::default();
        let mut unreadable = 0;
        found.hosts = self.bodies(
            "SELECT body FROM hosts ORDER BY name LIMIT ?1",
            20_000,
            HostRow::read,
            &mut unreadable,
        )?;
        let open = "SELECT body FROM incidents WHERE open = 1 ORDER BY id LIMIT ?1";
        found.incidents = self.bodies(open, 10_000, IncidentRow::read, &mut unreadable)?;
        let newest = "SELECT body FROM decisions ORDER BY place DESC LIMIT ?1";
        found.decisions = self.bodies(newest, decisions_max, DecisionJson::read, &mut unreadable)?;
        found.decisions.reverse();
        found.unreadable = unreadable;
        found.notifications = self.notifications()?;
        let highest: Option<i64> = self
            .connection
            .query_row("SELECT max(id) FROM incidents", [], |row| row.get(0))?;
        found.next_incident = highest.map_or(0, unsigned) + 1;
        found.term = self.meta("term")?.unwrap_or(0);
        Ok(found)
    }

    fn bodies<R: DeserializeOwned, T>(
        &self,
        sql: &str,
        limit: usize,
        read: fn(R) -> Option<T>,
        unreadable: &mut u64,
    ) -> rusqlite::Result<Vec<T>> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([signed(limit as u64)])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let body: String = row.get(0)?;
            match serde_json::from_str::<R>(&body).ok().and_then(read) {
                Some(value) => all.push(value),
                None => *unreadable += 1,
            }
        }
        Ok(all)
    }

    fn notifications(&self) -> rusqlite::Result<Vec<Notification>> {
        let sql = "SELECT term, count, receiver, body FROM
                   (SELECT * FROM letters ORDER BY term DESC, count DESC, receiver LIMIT ?1) ORDER BY term, count";
        let mut statement = self.connection.prepare(sql)?;
        let notifications = statement.query_map([signed(NOTIFICATIONS_MAX as u64)], |row| {
            let (term, count) = (unsigned(row.get(0)?), unsigned(row.get(1)?));
            let id = NotificationId {
                change: ChangeId { term, count },
                receiver: row.get(2)?,
            };
            Ok(Notification { id, body: row.get(3)? })
        })?;
        notifications.collect()
    }

    /// The newest decisions about a subject.
    pub(crate) fn decisions_of(&self, subject: &SubjectId, max: usize) -> Result<Past<Decision>, StoreError> {
        let rows = "FROM decisions WHERE subject = ?1";
        self.past(rows, "place", params![subject.as_str()], max, DecisionJson::read)
    }

    /// The newest incidents, of one subject or of all.
    pub(crate) fn incidents(&self, of: Option<&SubjectId>, max: usize) -> Result<Past<Incident>, StoreError> {
        match of {
            Some(subject) => {
                let rows = "FROM incidents WHERE subject = ?1";
                self.past(rows, "id", params![subject.as_str()], max, IncidentRow::read)
            }
            None => self.past("FROM incidents", "id", [], max, IncidentRow::read),
        }
    }

    /// The newest of these rows; one that this version cannot read counts as left out.
    fn past<R: DeserializeOwned, T>(
        &self,
        rows: &str,
        order: &str,
        which: impl Params + Clone,
        max: usize,
        read: fn(R) -> Option<T>,
    ) -> Result<Past<T>, StoreError> {
        let sql = format!("SELECT count(*) {rows}");
        let total: i64 = self.connection.query_row(&sql, which.clone(), |row| row.get(0))?;
        let sql = format!("SELECT body {rows} ORDER BY {order} DESC LIMIT {max}");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut found = statement.query(which)?;
        let mut newest = Vec::new();
        while let Some(row) = found.next()? {
            let body: String = row.get(0)?;
            newest.extend(serde_json::from_str::<R>(&body).ok().and_then(read));
        }
        newest.reverse();
        let omitted = unsigned(total).saturating_sub(newest.len() as u64);
        Ok(Past { newest, omitted })
    }

    fn meta(&self, key: &str) -> rusqlite::Result<Option<u64>> {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        let value: Option<i64> = self.connection.query_row(sql, [key], |row| row.get(0)).optional()?;
        Ok(value.map(unsigned))
    }

    /// Writes a batch in one transaction: all of it or nothing.
    pub(crate) fn write(&mut self, batch: &Pending) -> Result<(), StoreError> {
        let synchronous = if batch.incidents.is_empty() && batch.term.is_none() {
            "NORMAL"
        } else {
            "FULL"
        };
        self.connection.pragma_update(None, "synchronous", synchronous)?;
        let transaction = self.connection.transaction()?;
        write_rows(&transaction, batch)?;
        self.decisions_since_prune += batch.decisions.len() as u64;
        if 1000 <= self.decisions_since_prune || !batch.incidents.is_empty() {
            prune(&transaction)?;
            self.decisions_since_prune = 0;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn write_rows(transaction: &Transaction<'_>, batch: &Pending) -> Result<(), StoreError> {
    if let Some(term) = batch.term {
        let sql = "INSERT INTO meta(key, value) VALUES('term', ?1)
                   ON CONFLICT(key) DO UPDATE SET value = max(value, excluded.value)";
        transaction.execute(sql, [signed(term)])?;
    }
    let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO hosts(name, body) VALUES(?1, ?2)")?;
    let mut forget = transaction.prepare_cached("DELETE FROM hosts WHERE name = ?1")?;
    for (name, host) in &batch.hosts {
        match host {
            Some(host) => put.execute(params![name.as_str(), body(&HostRow::of(host))?])?,
            None => forget.execute([name.as_str()])?,
        };
    }
    let sql = "INSERT OR REPLACE INTO incidents(id, subject, open, body) VALUES(?1, ?2, ?3, ?4)";
    let mut put = transaction.prepare_cached(sql)?;
    for (id, incident) in &batch.incidents {
        let open = incident.closed_wall.is_none();
        put.execute(params![
            signed(*id),
            incident.subject.as_str(),
            open,
            body(&IncidentRow::of(incident))?
        ])?;
    }
    let sql = "INSERT OR REPLACE INTO letters(term, count, receiver, body) VALUES(?1, ?2, ?3, ?4)";
    let mut put = transaction.prepare_cached(sql)?;
    let sql = "DELETE FROM letters WHERE term = ?1 AND count = ?2 AND receiver = ?3";
    let mut settle = transaction.prepare_cached(sql)?;
    for (NotificationId { change, receiver }, body) in &batch.notifications {
        let (term, count) = (signed(change.term), signed(change.count));
        match body {
            Some(body) => put.execute(params![term, count, receiver, body])?,
            None => settle.execute(params![term, count, receiver])?,
        };
    }
    // A record that comes again keeps its place: it is told once, where it first happened.
    let sql = "INSERT INTO decisions(node, epoch, count, subject, body) VALUES(?1, ?2, ?3, ?4, ?5)
               ON CONFLICT(node, epoch, count) DO UPDATE SET body = excluded.body";
    let mut put = transaction.prepare_cached(sql)?;
    for (id, decision) in &batch.decisions {
        let body = body(&DecisionJson::of(decision))?;
        put.execute(params![
            id.node.as_str(),
            signed(id.epoch),
            signed(id.count),
            decision.subject.as_str(),
            body
        ])?;
    }
    Ok(())
}

fn prune(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let sql = "DELETE FROM decisions WHERE place <= (SELECT max(place) FROM decisions) - ?1";
    transaction.execute(sql, [signed(DECISIONS_ON_DISK_MAX)])?;
    let sql = "DELETE FROM incidents WHERE open = 0 AND id IN
               (SELECT id FROM incidents WHERE open = 0 ORDER BY id DESC LIMIT -1 OFFSET ?1)";
    transaction.execute(sql, [signed(INCIDENTS_ON_DISK_MAX)])?;
    Ok(())
}

/// SQLite knows signed integers only; nothing counted here comes near their end.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn body<T: Serialize>(row: &T) -> Result<String, StoreError> {
    serde_json::to_string(row).map_err(|error| StoreError(error.to_string()))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self(match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => "the disk is full".to_string(),
            Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
                format!("the database is damaged ({error}): stop this daemon, move the file away, start it again")
            }
            _ => error.to_string(),
        })
    }
}

enum OpenError {
    Corrupt(String),
    Other(String),
}

impl OpenError {
    fn words(self, path: &Path) -> StoreError {
        match self {
            Self::Corrupt(why) | Self::Other(why) => StoreError(format!("{}: {why}", path.display())),
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                Self::Corrupt(error.to_string())
            }
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Self::Other("another process has it open: two managers must not share one state folder".into())
            }
            _ => Self::Other(StoreError::from(error).0),
        }
    }
}
