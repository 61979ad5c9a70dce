//! What a launch can report.
