//! The `gemm` crate: products of f32, into a slice allocated before.

use crate::protocol::{Failure, Row, floats};
use ::gemm::Parallelism;
use std::cell::RefCell;
use std::rc::Rc;

pub fn open(operation: &str, shape: &[usize], threads: usize) -> Result<Option<Row>, Failure> {
    let ("matmul", &[m, n, k]) = (operation, shape) else { return Ok(None) };
    let (x, w) = (floats(1, m * k), floats(2, k * n));
    let out = Rc::new(RefCell::new(vec![0.0_f32; m * n]));
    let written = Rc::clone(&out);
    let parallelism = if threads == 1 { Parallelism::None } else { Parallelism::Rayon(threads) };
    let call = move || {
        let (mut out, step) = (out.borrow_mut(), |count: usize| count as isize);
        // SAFETY: the strides are those of dense matrices in row order, of the lengths allocated above;
        // nobody else has the output.
        unsafe {
            ::gemm::gemm(
                m,
                n,
                k,
                out.as_mut_ptr(),
                1,
                step(n),
                false,
                x.as_ptr(),
                1,
                step(k),
                w.as_ptr(),
                1,
                step(n),
                0.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
        Ok(())
    };
    Ok(Some(Row {
        call: Box::new(call),
        result: Box::new(move || Ok(written.borrow().iter().flat_map(|x| x.to_le_bytes()).collect())),
    }))
}
