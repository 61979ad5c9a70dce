//! Digits in the terminal: two pixels a character.

use std::fmt::Write;
use std::io::IsTerminal;

/// Pixels a side.
pub const SIDE: usize = 8;

/// An image, and what stands below it.
pub struct Picture<'a> {
    /// `SIDE * SIDE` pixels of 0 to 16.
    pub pixels: &'a [u8],
    /// At most `WIDTH` characters.
    pub caption: String,
}

/// Columns of a picture with the gap to the next.
const WIDTH: usize = 13;

/// Pictures side by side: in shades of grey on a terminal, in black and white elsewhere or where
/// `NO_COLOR` is set.
pub fn row(pictures: &[Picture<'_>]) -> String {
    let grey = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut text = String::new();
    for line in (0..SIDE).step_by(2) {
        for picture in pictures {
            for column in 0..SIDE {
                let upper = picture.pixels[line * SIDE + column];
                let lower = picture.pixels[(line + 1) * SIDE + column];
                text.push_str(&if grey { shaded(upper, lower) } else { threshold(upper, lower).into() });
            }
            text.push_str(if grey { "\x1b[0m" } else { "" });
            text.push_str(&" ".repeat(WIDTH - SIDE));
        }
        text.push('\n');
    }
    for picture in pictures {
        // Writing to a String does not fail.
        let _ = write!(text, "{:WIDTH$}", picture.caption);
    }
    text.push('\n');
    text
}

/// The upper half in the foreground's grey, the lower one in the background's.
fn shaded(upper: u8, lower: u8) -> String {
    let grey = |pixel: u8| 232 + u32::from(pixel.min(16)) * 23 / 16;
    format!("\x1b[38;5;{};48;5;{}m▀", grey(upper), grey(lower))
}

fn threshold(upper: u8, lower: u8) -> char {
    match (upper >= 8, lower >= 8) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}
