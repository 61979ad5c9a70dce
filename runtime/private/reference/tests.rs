//! Kernels as the emitter writes them, by hand.

use super::*;
use crate::error::Error;
use crate::launch::{Meta, TensorMeta};
use crate::tensor::Tensor;

static META: Meta = Meta {
    kernel: "kernel",
    dims: &["M", "N"],
    tensors: &[
        TensorMeta { name: "x", dims: &[0, 1], writable: false, in_place: false },
        TensorMeta { name: "out", dims: &[0, 1], writable: true, in_place: false },
    ],
    axes: &[],
};

fn rows(length: i32) -> [GridLoop; 1] {
    [GridLoop { span: clamped(0, 0, length, length), block: (1, i32::MAX) }]
}

#[test]
fn softmax_rows_sum_to_one() -> Result<(), Error> {
    let x = Tensor::from_fn((13, 7), |at| (at[0] * 7 + at[1]) as f32 * 0.1);
    let mut out = Tensor::<f32>::zeros((13, 7));
    let (memory_x, memory_out) = (Memory::new(&META, 0, &x)?, Memory::new(&META, 1, &out)?);
    let whole = Span::whole(1, 7);
    run(&META, &[&memory_x, &memory_out], &rows(13), |program| {
        let m = program.axis(0);
        let row = memory_x.load(program, &[At::axis(m), At::axis(whole)]);
        let peak: Tile<f32> = reduce_max(&row, whole);
        let e = exp(&sub(&row, &peak));
        let total: Tile<f32> = reduce_sum(&e, whole);
        memory_out.store(program, &[At::axis(m), At::axis(whole)], &div(&e, &total));
    })??;
    memory_out.commit(&mut out)?;
    for row in out.to_vec().chunks(7) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((row[6] / row[5] - 0.1f32.exp()).abs() < 1e-6);
    }
    Ok(())
}

#[test]
fn programs_that_write_the_same_element_race() -> Result<(), Error> {
    let out = Tensor::<f32>::zeros((13, 7));
    let memory = Memory::new(&META, 1, &out)?;
    let raced = run(&META, &[&memory, &memory], &rows(13), |program| {
        memory.store(
            program,
            &[At::value(&int::<i32>(2)), At::value(&int::<i32>(3))],
            &program.axis(0).first_float(),
        );
    });
    assert_eq!(raced.err(), Some(Error::Race { kernel: "kernel", tensor: "out", index: vec![2, 3] }));
    Ok(())
}

#[test]
fn what_shows_the_block_size_is_refused() -> Result<(), Error> {
    let out = Tensor::<f32>::zeros((13, 7));
    let memory = Memory::new(&META, 1, &out)?;
    let outcome = run(&META, &[&memory, &memory], &rows(13), |program| {
        let m = program.axis(0);
        memory.store(program, &[At::axis(m), At::axis(Span::whole(1, 7))], &m.first_float());
    });
    assert!(matches!(outcome, Err(Error::BlockDependent { tensor: "out", .. })), "{outcome:?}");
    Ok(())
}

#[test]
fn an_index_outside_is_zero_and_reported() -> Result<(), Error> {
    let x = Tensor::full((13, 7), 2.0f32);
    let mut out = Tensor::<f32>::full((13, 7), 5.0);
    let (memory_x, memory_out) = (Memory::new(&META, 0, &x)?, Memory::new(&META, 1, &out)?);
    let whole = Span::whole(1, 7);
    let ended = run(&META, &[&memory_x, &memory_out], &rows(13), |program| {
        let (m, one) = (program.axis(0), int::<i32>(1));
        let moved = memory_x.load(program, &[At::axis(m), At::shifted(whole, &one)]);
        memory_out.store(program, &[At::shifted(m, &one), At::axis(whole)], &moved);
    })?;
    assert!(matches!(ended, Err(Error::IndexOutOfBounds { .. })), "{ended:?}");
    memory_out.commit(&mut out)?;
    let got = out.to_vec();
    assert_eq!(got[..8], [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 2.0]);
    assert_eq!(got[13], 0.0);
    Ok(())
}

impl Span {
    fn first_float(&self) -> Tile<f32> {
        cast(&self.first())
    }
}
