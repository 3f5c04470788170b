//! SQLite for the manager, and the journal of a watchdog.

pub mod journal;
mod journal_decision;
mod journal_frame;
mod journal_line;
mod journal_sync;
pub mod sqlite;
mod sqlite_file;
mod sqlite_outbox;
mod sqlite_queue;
mod sqlite_reader;
mod sqlite_records;
mod sqlite_rows;
