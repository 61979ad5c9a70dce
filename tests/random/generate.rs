//! The generator: a pool of typed names grows by one random operation at a time.

use std::fmt::Write as _;

/// A small multiplicative generator (Steele and Vigna's SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = z ^ (z >> 31);
        usize::try_from(z % n as u64).expect("a remainder below a usize fits")
    }
    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// What a name in the pool stands for. `Full` extends along the rows' axis and the lanes' axis.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Full,
    Row,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// f32, continuous in the inputs.
    Real,
    /// f32 exactly as loaded.
    Exact,
    Int,
    Bool,
}

/// One way to walk over the matrix: the loops, and how its elements are indexed.
struct Walk {
    /// The axis of rows, in an index.
    row: &'static str,
    /// The axis of lanes, in an index and as the axis of a reduction.
    lane: (&'static str, &'static str),
}

const SIGNATURE: &str = "x: &Tensor<f32, (M, N)>, y: &Tensor<bf16, (M, N)>, v: &Tensor<f32, N>, \
    u: &Tensor<f32, (M, K)>, w: &Tensor<f32, (K, N)>, i: &Tensor<i32, (M, N)>, \
    out: &mut Tensor<f32, (M, N)>, row: &mut Tensor<f32, M>";
const HOST: &str = "x: &Tensor<f32>, y: &Tensor<bf16>, v: &Tensor<f32>, u: &Tensor<f32>, \
    w: &Tensor<f32>, i: &Tensor<i32>, out: &mut Tensor<f32>, row: &mut Tensor<f32>";

/// The text of `count` kernels and their table.
pub fn program(seed: u64, count: u32) -> String {
    let mut text = String::new();
    let mut table = String::new();
    for at in 0..count {
        let mut random = Random(seed.wrapping_mul(1_000_003).wrapping_add(u64::from(at)));
        let body = kernel(&mut random, at);
        writeln!(text, "#[kernel]\nfn random_{at}<M, N, K>({SIGNATURE}) {{\n{body}}}")
            .expect("a String takes it");
        write!(
            table,
            "(\"random_{at}\", |config, x, y, v, u, w, i, out, row| random_{at}::with(config, x, y, v, u, w, i, out, row), \
             |_, x, y, v, u, w, i, out, row| random_{at}::reference(x, y, v, u, w, i, out, row)),"
        )
        .expect("a String takes it");
    }
    format!(
        "{text}\n/// A kernel or its reference.\ntype Run = fn(config: &Config, {HOST}) -> Result<(), Error>;\nconst KERNELS: &[(&str, Run, Run)] = &[{table}];"
    )
}

fn kernel(random: &mut Random, at: u32) -> String {
    match at % 4 {
        0 if at % 8 == 4 => rows_below_a_peak(random, at),
        0 => whole_rows(random),
        1 => lanes_in_a_loop(random),
        2 => matrix_product(random),
        _ => single_rows(random),
    }
}

/// The last loop over a row stores only, after one that calls a function.
fn whole_rows(random: &mut Random) -> String {
    let mut pool = Pool::new(Walk { row: "m", lane: ("..", "N") });
    let body = pool.statements(random, 10);
    let (wave, full, row) =
        (pool.real(random, Shape::Full), pool.real(random, Shape::Full), pool.reduced(random));
    format!(
        "for m in tile(M) {{\n{body}let wave = sin({wave});\nlet height = wave.sum(N);\nrow[m] = {row} + height;\n\
         out[(m, ..)] = {full} + wave / (abs(height) + 1.0);\n}}\n"
    )
}

/// The first loop over a row finds a peak only, which the loop with a function needs.
fn rows_below_a_peak(random: &mut Random, at: u32) -> String {
    let mut pool = Pool::new(Walk { row: "m", lane: ("..", "N") });
    let body = pool.statements(random, 2);
    let (full, other) = (pool.real(random, Shape::Full), pool.real(random, Shape::Full));
    let peak = random.pick(&[
        "x[(m, ..)].max(N)",
        "min(x[(m, ..)], v[..]).min(N)",
        "i[(m, ..)].max(N).cast::<f32>()",
    ]);
    // The one that writes last, or the one with the function.
    let result = if at % 16 == 4 { "wave / (abs(height) + 1.0)" } else { "wave" };
    format!(
        "for m in tile(M) {{\nlet peak = {peak};\n{body}let wave = sin({full} - peak) + {other};\nlet height = wave.sum(N);\n\
         row[m] = height + peak;\nout[(m, ..)] = {result};\n}}\n"
    )
}

fn single_rows(random: &mut Random) -> String {
    let mut pool = Pool::new(Walk { row: "m", lane: ("..", "N") });
    let body = pool.statements(random, 8);
    let (full, row) = (pool.real(random, Shape::Full), pool.reduced(random));
    format!("for m in each(M) {{\n{body}out[(m, ..)] = {full};\nrow[m] = {row};\n}}\n")
}

fn lanes_in_a_loop(random: &mut Random) -> String {
    let mut pool = Pool::new(Walk { row: "m", lane: ("n", "n") });
    let body = pool.statements(random, 8);
    let full = pool.real(random, Shape::Full);
    let summed = pool.real(random, Shape::Full);
    format!(
        "for m in tile(M) {{\nlet mut acc = zeros::<f32>(m);\nfor n in tile(N) {{\n{body}out[(m, n)] = {full};\n\
         acc += ({summed}).sum(n);\n}}\nrow[m] = acc / N as f32;\n}}\n"
    )
}

fn matrix_product(random: &mut Random) -> String {
    let mut pool = Pool::new(Walk { row: "m", lane: ("n", "n") });
    pool.names.push(("product".to_owned(), Shape::Full, Kind::Real));
    let body = pool.statements(random, 6);
    let full = pool.real(random, Shape::Full);
    let left = random.pick(&["u[(m, k)]", "tanh(u[(m, k)])", "u[(m, k)] * 0.5"]);
    let right = random.pick(&["w[(k, n)]", "w[(k, n)]", "abs(w[(k, n)])"]);
    format!(
        "for (m, n) in tile((M, N)) {{\nlet mut acc = zeros::<f32>((m, n));\nfor k in tile(K) {{\n\
         acc += dot({left}, {right}, k);\n}}\nlet product = tanh(acc / K as f32);\n{body}out[(m, n)] = {full} + product;\n}}\n"
    )
}

/// The names that a random expression may use.
struct Pool {
    walk: Walk,
    names: Vec<(String, Shape, Kind)>,
    made: usize,
}

impl Pool {
    fn new(walk: Walk) -> Pool {
        Pool { walk, names: Vec::new(), made: 0 }
    }

    fn statements(&mut self, random: &mut Random, n: usize) -> String {
        let mut text = String::new();
        for at in 0..n + 3 {
            let (value, shape, kind) = if at < 3 { self.load(at) } else { self.operation(random) };
            let name = format!("t{}", self.made);
            self.made += 1;
            // A variable over a whole dimension needs a bound.
            let may_change = kind == Kind::Real && (shape == Shape::Row || self.walk.lane.0 != "..");
            let changed = if may_change && random.below(3) == 0 {
                self.change(random, &name, shape)
            } else {
                String::new()
            };
            let mutable = if changed.is_empty() { "" } else { "mut " };
            writeln!(text, "let {mutable}{name} = {value};\n{changed}").expect("a String takes it");
            self.names.push((name, shape, kind));
        }
        text
    }

    /// Assigns to a variable again, perhaps on a condition that is known at launch.
    fn change(&self, random: &mut Random, name: &str, shape: Shape) -> String {
        let value = random.pick(&["tanh(A)", "A * 0.5", "(A + 0.25) * 0.5"]);
        let again = value.replace('A', name);
        let other = self.of(random, |s, kind| s == shape && matches!(kind, Kind::Real | Kind::Exact));
        match (random.below(3), other) {
            (0, Some(other)) => format!("if K > 20 {{ {name} = {}; }}\n", value.replace('A', &other)),
            (1, _) => format!("{name} = {again};\n{name} = {name} - 0.125;\n"),
            _ => format!("{name} = {again};\n"),
        }
    }

    fn load(&self, at: usize) -> (String, Shape, Kind) {
        let Walk { row, lane: (lane, _) } = self.walk;
        match at {
            0 => (format!("x[({row}, {lane})]"), Shape::Full, Kind::Exact),
            1 => (format!("y[({row}, {lane})].cast::<f32>()"), Shape::Full, Kind::Exact),
            _ => (format!("i[({row}, {lane})]"), Shape::Full, Kind::Int),
        }
    }

    fn operation(&self, random: &mut Random) -> (String, Shape, Kind) {
        let reducible = self.walk.lane.0 == "..";
        match random.below(if reducible { 9 } else { 7 }) {
            0 => (self.integer(random), Shape::Full, Kind::Int),
            1 => (self.condition(random), Shape::Full, Kind::Bool),
            2 => self.unary(random),
            3 => (self.choice(random), Shape::Full, Kind::Real),
            4 => (
                format!("{} + v[{}]", self.real(random, Shape::Full), self.walk.lane.0),
                Shape::Full,
                Kind::Real,
            ),
            7 | 8 => (self.reduced(random), Shape::Row, Kind::Real),
            _ => self.binary(random),
        }
    }

    fn of(&self, random: &mut Random, wanted: impl Fn(Shape, Kind) -> bool) -> Option<String> {
        let fits: Vec<&String> = self
            .names
            .iter()
            .filter(|(_, shape, kind)| wanted(*shape, *kind))
            .map(|(name, ..)| name)
            .collect();
        (!fits.is_empty()).then(|| fits[random.below(fits.len())].clone())
    }

    /// A name of an f32 tile of that shape.
    fn real(&self, random: &mut Random, shape: Shape) -> String {
        self.of(random, |s, kind| s == shape && matches!(kind, Kind::Real | Kind::Exact))
            .expect("the pool starts with a full real")
    }

    fn exact(&self, random: &mut Random) -> String {
        self.of(random, |_, kind| kind == Kind::Exact).expect("the pool starts with an exact tile")
    }

    fn integer(&self, random: &mut Random) -> String {
        let a = self.of(random, |_, kind| kind == Kind::Int).expect("the pool starts with an integer tile");
        let b = self.of(random, |_, kind| kind == Kind::Int).expect("the pool starts with an integer tile");
        let op = random.pick(&["+", "-", "*", "/", "%", "&", "|", "^"]);
        match random.below(4) {
            0 => format!("max({a}, {b})"),
            1 => format!("{a} << ({b} & 3)"),
            2 => format!("{a} >> 1"),
            _ => format!("{a} {op} {b}"),
        }
    }

    fn condition(&self, random: &mut Random) -> String {
        let op = random.pick(&["<", "<=", ">", ">=", "==", "!="]);
        match (random.below(3), self.of(random, |_, kind| kind == Kind::Bool)) {
            (0, Some(mask)) => format!("{mask} && {} {op} 0.25", self.exact(random)),
            (1, _) => {
                let int = self
                    .of(random, |_, kind| kind == Kind::Int)
                    .expect("the pool starts with an integer tile");
                format!("{int} {op} 3")
            }
            _ => format!("{} {op} {}", self.exact(random), self.exact(random)),
        }
    }

    fn choice(&self, random: &mut Random) -> String {
        let mask = self.condition(random);
        format!("select({mask}, {}, {})", self.real(random, Shape::Full), self.real(random, Shape::Full))
    }

    fn any_real(&self, random: &mut Random) -> (String, Shape) {
        let row = self.of(random, |shape, kind| shape == Shape::Row && kind == Kind::Real);
        match row {
            Some(name) if random.below(3) == 0 => (name, Shape::Row),
            _ => (self.real(random, Shape::Full), Shape::Full),
        }
    }

    fn unary(&self, random: &mut Random) -> (String, Shape, Kind) {
        let (a, shape) = self.any_real(random);
        let bounded = [
            "tanh(A)",
            "sigmoid(A)",
            "erf(A)",
            "exp(min(A, 1.0))",
            "sqrt(abs(A) + 0.5)",
            "gelu(A)",
            "silu(A)",
            "sin(A)",
            "cos(A)",
            "ln(abs(A) + 1.0)",
            "rsqrt(A * A + 1.0)",
            "exp2(min(A, 1.0))",
            "relu(A)",
            "-A",
            "gelu_tanh(A)",
        ];
        (random.pick(&bounded).replace('A', &a), shape, Kind::Real)
    }

    fn binary(&self, random: &mut Random) -> (String, Shape, Kind) {
        let ((a, left), (b, right)) = (self.any_real(random), self.any_real(random));
        let shape = if left == Shape::Full || right == Shape::Full { Shape::Full } else { Shape::Row };
        let bounded =
            ["(A + B) * 0.5", "(A - B) * 0.5", "tanh(A * B)", "max(A, B)", "min(A, B)", "A / (B * B + 1.0)"];
        (random.pick(&bounded).replace('A', &a).replace('B', &b), shape, Kind::Real)
    }

    fn reduced(&self, random: &mut Random) -> String {
        let axis = self.walk.lane.1;
        let a = self.real(random, Shape::Full);
        match random.below(5) {
            0 => format!("{a}.max({axis})"),
            1 => format!("{a}.min({axis})"),
            2 => format!("{a}.sum({axis}) / N as f32"),
            3 => format!("{}.argmax({axis}).cast::<f32>() / N as f32", self.exact(random)),
            _ => format!("{a}.mean({axis})"),
        }
    }
}
