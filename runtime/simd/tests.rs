//! Lanes equal scalars.
