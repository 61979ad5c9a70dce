//! From tile IR to loop nests.
