//! The CPU: always there, the default.
