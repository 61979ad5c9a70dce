//! Schedules as they print.
