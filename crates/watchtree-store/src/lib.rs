//! The two stores of the daemons: the journal of a watchdog, and the manager's SQLite database.
//!
//! The only crate that knows SQLite and the format of the journal. It stores and returns records; it does not decide what a
//! record means.

mod decision_json;
pub mod journal;
mod journal_aside;
mod journal_engine;
mod journal_frame;
mod journal_line;
mod journal_read;
mod journal_repair;
mod journal_stamp;
mod journal_subject;
mod journal_sync;
pub mod sqlite;
mod sqlite_file;
mod sqlite_outbox;
mod sqlite_queue;
mod sqlite_reader;
mod sqlite_records;
mod sqlite_rows;
