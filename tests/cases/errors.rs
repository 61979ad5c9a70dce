//! Indices outside a tensor: zero or nothing, reported, and never touched.

use crate::check::instruction_sets;
use tilewright::prelude::*;

#[kernel]
fn pick<M, V, D>(
    table: &Tensor<f32, (V, D)>,
    rows: &Tensor<i64, M>,
    columns: &Tensor<i32, (M, D)>,
    out: &mut Tensor<f32, (M, D)>,
) {
    for m in tile(M) {
        out[(m, ..)] = table[(rows[m], columns[(m, ..)])];
    }
}

#[kernel]
fn row<V, D>(table: &Tensor<f32, (V, D)>, out: &mut Tensor<f32, D>, at: i32) {
    for d in tile(D) {
        out[d] = table[(at, d)];
    }
}

#[kernel]
fn shifted_store<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>, by: i32) {
    for m in tile(M) {
        out[m + by] = x[m];
    }
}

/// Pieces of a row, of which as many as are asserted need no check.
#[kernel]
fn third_of_two<M, P, H>(x: &Tensor<f32, (M, P, H)>, out: &mut Tensor<f32, (M, H)>) {
    assert!(P >= 2);
    for m in tile(M) {
        out[(m, ..)] = x[(m, 0, ..)] + x[(m, 1, ..)] + x[(m, 2, ..)];
    }
}

#[kernel]
fn third_of_at_most<M, P, H>(x: &Tensor<f32, (M, P, H)>, out: &mut Tensor<f32, (M, P, H)>) {
    assert!(P <= 3 && P != 1);
    for m in tile(M) {
        out[(m, 2, ..)] = x[(m, 0, ..)] + x[(m, 1, ..)];
    }
}

const WILD: [i64; 8] = [-1, 5, 1 << 20, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN, (1 << 32) + 1];

#[test]
fn wild_gathers_of_rows_and_lanes_are_reported_and_give_zero() {
    for set in instruction_sets() {
        for wild in WILD {
            for (bad_row, bad_lane) in [(true, false), (false, true), (true, true)] {
                let table = Tensor::<f32>::full((5, 40), 1.0);
                let rows = Tensor::from_fn(3, |at| if bad_row && at[0] == 1 { wild } else { 2 });
                let wild_lane = wild.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
                let wild_lane = if wild_lane == 5 { 40 } else { wild_lane };
                let columns = Tensor::from_fn((3, 40), |at| {
                    if bad_lane && at[1] % 7 == 3 { wild_lane } else { at[1] as i32 }
                });
                let mut out = Tensor::<f32>::full((3, 40), 7.0);
                let error =
                    pick::with(&Config::new().instruction_set(set), &table, &rows, &columns, &mut out)
                        .unwrap_err();
                assert!(matches!(error, Error::IndexOutOfBounds { tensor: "table", .. }), "{error}");
                let wanted =
                    |row: usize, lane: usize| !((bad_row && row == 1) || (bad_lane && lane % 7 == 3));
                for (at, value) in out.to_vec().into_iter().enumerate() {
                    assert_eq!(value == 1.0, wanted(at / 40, at % 40), "{} {wild}", set.name());
                }
            }
        }
    }
}

#[test]
fn wild_scalars_and_stores_are_reported_and_do_nothing_else() {
    for set in instruction_sets() {
        let config = Config::new().instruction_set(set);
        for wild in WILD.map(|wild| wild.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32) {
            let table = Tensor::<f32>::full((5, 40), 1.0);
            let mut out = Tensor::<f32>::full(40, 7.0);
            let error = row::with(&config, &table, &mut out, wild).unwrap_err();
            assert!(
                matches!(error, Error::IndexOutOfBounds { tensor: "table", dimension: 0, .. }),
                "{error}"
            );
            assert_eq!(out.to_vec(), [0.0; 40]);
            let x = Tensor::<f32>::full(40, 1.0);
            let mut inner = Tensor::<f32>::full(120, 7.0);
            {
                let mut view = inner.narrow(0, 40, 40).unwrap();
                let error = shifted_store::with(&config, &x, &mut view, wild).unwrap_err();
                assert!(matches!(error, Error::IndexOutOfBounds { tensor: "out", .. }), "{error}");
            }
            let all = inner.to_vec();
            assert!(all[..40].iter().chain(&all[80..]).all(|value| *value == 7.0), "wrote outside");
            inner.fill(0.0).unwrap();
        }
    }
}

#[test]
fn numbers_beyond_what_is_asserted_are_checked() {
    for set in instruction_sets() {
        let config = Config::new().instruction_set(set);
        for pieces in [2, 3, 4] {
            let x = Tensor::<f32>::full((5, pieces, 40), 1.0);
            let mut out = Tensor::<f32>::full((5, 40), 7.0);
            let result = third_of_two::with(&config, &x, &mut out);
            assert_eq!(result.is_ok(), pieces > 2, "{pieces}, {}", set.name());
            let sum = if pieces > 2 { 3.0 } else { 2.0 };
            assert_eq!(out.to_vec(), [sum; 200], "{pieces}, {}", set.name());
            if let Err(error) = result {
                assert!(
                    matches!(error, Error::IndexOutOfBounds { tensor: "x", dimension: 1, .. }),
                    "{error}"
                );
            }
            if pieces < 4 {
                let mut out = Tensor::<f32>::full((5, pieces, 40), 7.0);
                let result = third_of_at_most::with(&config, &x, &mut out);
                assert_eq!(result.is_ok(), pieces == 3, "{pieces}, {}", set.name());
                let n_written = out.to_vec().iter().filter(|value| **value == 2.0).count();
                assert_eq!(n_written, if pieces == 3 { 200 } else { 0 }, "{pieces}, {}", set.name());
            }
        }
        let one = Tensor::<f32>::full((5, 1, 40), 1.0);
        let error = third_of_two::with(&config, &one, &mut Tensor::zeros((5, 40))).unwrap_err();
        assert!(error.to_string().contains("P >= 2"), "{error}");
    }
}
