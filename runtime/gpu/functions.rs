//! The `#[device]` functions that a kernel reaches, each once, with names of their own.

use std::fmt::Write;

use super::kernel::Function;

/// Definitions of all functions that `roots` reach, and `#define FN_0 …` for the roots in order.
pub(super) fn text(roots: &[&'static Function]) -> String {
    let (mut out, mut known) = (String::new(), Vec::new());
    let names: Vec<String> = roots.iter().map(|function| define(function, &mut known, &mut out)).collect();
    for (at, name) in names.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = writeln!(out, "#define FN_{at} {name}");
    }
    out
}

/// Writes a function after those that it calls; its name.
fn define(function: &'static Function, known: &mut Vec<&'static Function>, out: &mut String) -> String {
    let name = |at: usize| format!("device_{at}_{}", plain(function.name));
    if let Some(at) = known.iter().position(|other| std::ptr::eq(*other, function)) {
        return name(at);
    }
    let callees: Vec<String> = function.callees.iter().map(|callee| define(callee, known, out)).collect();
    known.push(function);
    let name = name(known.len() - 1);
    let mut source = function.source.replace("FN_SELF", &name);
    // The highest number first: `FN_1` stands in `FN_10` too.
    for (at, callee) in callees.iter().enumerate().rev() {
        source = source.replace(&format!("FN_{at}("), &format!("{callee}("));
    }
    out.push_str(&source);
    name
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>().replace("__", "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    static ONE: Function = Function { name: "one", source: "f32 FN_SELF() { return 1; }\n", callees: &[] };
    static TWO: Function = Function {
        name: "one",
        source: "f32 FN_SELF() { return FN_0() + FN_1(); }\n",
        callees: &[&ONE, &ONE],
    };

    #[test]
    fn functions_of_one_name_get_names_of_their_own_and_come_after_what_they_call() {
        let text = text(&[&TWO, &ONE]);
        let expected = "f32 device_0_one() { return 1; }\n\
                        f32 device_1_one() { return device_0_one() + device_0_one(); }\n\
                        #define FN_0 device_1_one\n#define FN_1 device_0_one\n";
        assert_eq!(text, expected);
    }
}
