//! What a kernel asserts before it runs, which its programs can rely on.

use crate::ir::{BinaryOp, CompareOp, DimId, Kernel, Literal, Op, Stmt, ValueId};

impl Kernel {
    /// What a dimension is at least, by the assertions before the grid: `assert!(P == 2)`.
    #[must_use]
    pub fn least_length(&self, dim: DimId) -> i64 {
        let asserted = self.body.iter().map(|stmt| {
            if let Stmt::Assert { condition, .. } = stmt { self.least_if(dim, *condition) } else { 0 }
        });
        asserted.max().unwrap_or(0)
    }

    /// What a dimension is at least if a condition holds.
    fn least_if(&self, dim: DimId, condition: ValueId) -> i64 {
        let op = |value: ValueId| &self.values[value].op;
        if let Op::Binary(BinaryOp::And, one, other) = op(condition) {
            return Ord::max(self.least_if(dim, *one), self.least_if(dim, *other));
        }
        let Op::Compare(compare, lhs, rhs) = op(condition) else { return 0 };
        let is_it = |value: &ValueId| matches!(op(*value), Op::Dim(of) if *of == dim);
        let number =
            |value: &ValueId| if let Op::Literal(Literal::Int(x)) = op(*value) { Some(*x) } else { None };
        if let (true, Some(number)) = (is_it(lhs), number(rhs)) {
            return match compare {
                CompareOp::Eq | CompareOp::Ge => number,
                CompareOp::Gt => number.saturating_add(1),
                CompareOp::Ne | CompareOp::Lt | CompareOp::Le => 0,
            };
        }
        if let (Some(number), true) = (number(lhs), is_it(rhs)) {
            return match compare {
                CompareOp::Eq | CompareOp::Le => number,
                CompareOp::Lt => number.saturating_add(1),
                CompareOp::Ne | CompareOp::Gt | CompareOp::Ge => 0,
            };
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::tests::kernel;

    /// What `P` is at least, as asserted.
    fn least(asserted: &str) -> i64 {
        let kernel = kernel(&format!(
            "fn k<M, P>(x: &Tensor<f32, (M, P)>, out: &mut Tensor<f32, M>) {{
                {asserted}
                for m in tile(M) {{ out[m] = x[(m, 0)]; }}
            }}"
        ));
        let dim = kernel.dims.iter().find(|(_, dim)| dim.name == "P").map(|(dim, _)| dim);
        kernel.least_length(dim.expect("the kernel has P"))
    }

    #[test]
    fn a_dimension_is_at_least_what_is_asserted() {
        let cases = [
            ("", 0),
            ("assert!(P == 2);", 2),
            ("assert!(2 == P);", 2),
            ("assert!(P >= 3);", 3),
            ("assert!(3 <= P);", 3),
            ("assert!(P > 3);", 4),
            ("assert!(3 < P);", 4),
            ("assert!(M == 7 && P == 2);", 2),
            ("assert!(P >= 2); assert!(P > 4);", 5),
            ("assert!(P <= 4);", 0),
            ("assert!(4 >= P);", 0),
            ("assert!(P < 4);", 0),
            ("assert!(4 > P);", 0),
            ("assert!(P != 4);", 0),
            ("assert!(M == 7);", 0),
            ("assert!(M == 7 || P == 2);", 0),
            ("assert!(P % 2 == 1);", 0),
        ];
        for (asserted, wanted) in cases {
            assert_eq!(least(asserted), wanted, "{asserted}");
        }
    }
}
