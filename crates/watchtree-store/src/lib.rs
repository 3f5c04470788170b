//! SQLite for the manager, and the journal of a watchdog.
