//! What the generated reference runs over.
