//! Claims about views, access and conversion; one table or one claim each.

use super::*;
use crate::Error;
use half::{bf16, f16};

type Outcome = Result<(), TensorError>;

fn cube() -> Result<Tensor<i32>, TensorError> {
    Tensor::arange(24).reshape((2, 3, 4))
}

/// The elements as the definition has it: from the indices.
fn indexed(tensor: &Tensor<i32>) -> Vec<i32> {
    let shape = tensor.shape().to_vec();
    (0..tensor.len())
        .map(|mut number| {
            let mut index = vec![0; shape.len()];
            for (position, length) in index.iter_mut().zip(&shape).rev() {
                *position = number % length;
                number /= length;
            }
            tensor.get(&index).unwrap_or(i32::MIN)
        })
        .collect()
}

#[test]
fn every_way_to_read_a_view_agrees() -> Outcome {
    let cube = cube()?;
    let views = [
        cube.clone(),
        cube.transpose(0, 2)?,
        cube.permute(&[1, 2, 0])?,
        cube.narrow(2, 1, 2)?,
        cube.select(1, 2)?,
        cube.flip(0)?.flip(2)?,
        cube.unsqueeze(1)?,
        cube.narrow(1, 1, 1)?.broadcast_to((2, 2, 5, 4))?,
        cube.narrow(0, 1, 0)?,
        cube.narrow(2, 1, 2)?.reshape((6, 2))?,
        cube.transpose(0, 1)?.to_contiguous()?,
    ];
    for view in views {
        let elements = indexed(&view);
        assert_eq!(view.to_vec(), elements, "{view:?}");
        assert_eq!(view.iter()?.collect::<Vec<_>>(), elements);
        assert_eq!(view.iter()?.len(), elements.len());
        assert_eq!(view.copy()?.to_vec(), elements);
        assert_eq!(view.copy()?.shape(), view.shape());
        assert_eq!(view.read().is_ok(), view.is_contiguous());
    }
    Ok(())
}

#[test]
fn reshape_keeps_the_order_or_refuses() -> Outcome {
    let cube = cube()?;
    let narrow = cube.narrow(2, 0, 2)?;
    let cases: [(&Tensor<i32>, &[usize], bool); 12] = [
        (&cube, &[24], true),
        (&cube, &[4, 1, 6], true),
        (&cube, &[25], false),
        (&narrow, &[6, 2], true),
        (&narrow, &[2, 3, 1, 2], true),
        (&narrow, &[3, 2, 2], true),
        (&narrow, &[12], false),
        (&narrow, &[2, 6], false),
        (&cube.transpose(1, 2)?, &[2, 2, 2, 3], true),
        (&cube.transpose(1, 2)?, &[8, 3], false),
        (&cube.transpose(1, 2)?, &[2, 12], false),
        (&Tensor::scalar(7).broadcast_to((2, 3))?, &[6], true),
    ];
    for (tensor, shape, possible) in cases {
        let reshaped = tensor.reshape(shape);
        assert_eq!(reshaped.is_ok(), possible, "{tensor:?} to {shape:?}");
        if let Ok(reshaped) = reshaped {
            assert_eq!(reshaped.to_vec(), tensor.to_vec());
            assert_eq!(reshaped.shape(), shape);
        }
    }
    Ok(())
}

#[test]
fn wrong_views_are_typed_errors() -> Outcome {
    let cube = cube()?;
    let flat = vec![2, 3, 4];
    let cases = [
        (cube.transpose(0, 3), TensorError::NoDimension { dimension: 3, rank: 3 }),
        (cube.unsqueeze(4), TensorError::NoDimension { dimension: 4, rank: 3 }),
        (cube.permute(&[0, 1]), TensorError::Permutation { order: vec![0, 1], rank: 3 }),
        (cube.permute(&[0, 1, 1]), TensorError::Permutation { order: vec![0, 1, 1], rank: 3 }),
        (
            cube.narrow(1, 2, usize::MAX),
            TensorError::Range { dimension: 1, start: 2, count: usize::MAX, length: 3 },
        ),
        (cube.select(1, 3), TensorError::Range { dimension: 1, start: 3, count: 1, length: 3 }),
        (cube.squeeze(1), TensorError::Squeeze { dimension: 1, length: 3 }),
        (cube.broadcast_to((3, 4)), TensorError::Broadcast { from: flat.clone(), to: vec![3, 4] }),
        (cube.broadcast_to((2, 6, 4)), TensorError::Broadcast { from: flat, to: vec![2, 6, 4] }),
        (Tensor::from_vec((2, 2), vec![1]), TensorError::Length { shape: vec![2, 2], found: 1 }),
        (Tensor::try_zeros([1; 9]), TensorError::RankTooLarge { rank: 9 }),
        (Tensor::try_zeros(usize::MAX / 8), TensorError::TooLarge { shape: vec![usize::MAX / 8] }),
        (
            Tensor::scalar(1).broadcast_to((1 << 40, 1 << 40)),
            TensorError::TooLarge { shape: vec![1 << 40, 1 << 40] },
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found.map(|tensor| tensor.to_vec()), Err(expected));
    }
    assert!(matches!(cube.get((0, 0)), Err(TensorError::Index { .. })));
    Ok(())
}

#[test]
fn views_write_into_the_shared_storage_and_copies_do_not() -> Result<(), Error> {
    let cube = cube()?;
    cube.copy()?.fill(-1)?;
    cube.transpose(0, 2)?.narrow(0, 3, 1)?.fill(0)?;
    cube.select(0, 1)?.select(0, 2)?.copy_from_slice(&[1, 2, 3, 4])?;
    cube.select(0, 0)?.copy_from(&Tensor::full((3, 4), 9))?;
    let expected = [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 12, 13, 14, 0, 16, 17, 18, 0, 1, 2, 3, 4];
    assert_eq!(cube.to_vec(), expected);
    Ok(())
}

#[test]
fn conflicting_access_is_an_error_and_ends_with_the_guard() -> Outcome {
    let mut tensor = cube()?;
    let mut view = tensor.select(0, 1)?;
    let guard = tensor.write()?;
    assert_eq!(view.get((0, 0)), Err(TensorError::Busy));
    assert_eq!(view.try_to_vec(), Err(TensorError::Busy));
    assert_eq!(view.fill(1), Err(TensorError::Busy));
    assert_eq!(view.set((0, 0), 1), Err(TensorError::Busy));
    assert_eq!(view.cast::<f32>().map(drop), Err(TensorError::Busy));
    assert_eq!(format!("{view:?}"), "Tensor<i32>[3, 4] [in use]");
    drop(guard);
    let guard = view.read()?;
    assert_eq!(tensor.get((0, 0, 1)), Ok(1));
    assert_eq!(tensor.fill(1), Err(TensorError::Busy));
    assert_eq!(tensor.clone().copy_from(&tensor), Err(TensorError::Busy.into()));
    drop(guard);
    tensor.fill(1)
}

#[test]
fn broadcast_views_are_not_written() -> Outcome {
    let mut rows = Tensor::<i32>::arange(3).broadcast_to((2, 3))?;
    assert!(matches!(rows.fill(0), Err(TensorError::Overlapping { .. })));
    assert!(matches!(rows.copy_from_slice(&[0; 6]), Err(TensorError::Overlapping { .. })));
    rows.copy()?.fill(0)
}

#[test]
fn lent_memory_is_read_only_and_outlives_its_maker() -> Outcome {
    let owner = Arc::new(vec![1i32, 2, 3, 4]);
    let first = std::ptr::NonNull::from(&owner[0]);
    let first = std::ptr::NonNull::new(owner.as_ptr().cast_mut()).unwrap_or(first);
    // SAFETY: the vector has four elements, lives in `owner` and is never changed.
    let mut tensor = unsafe { Tensor::from_owner(owner, first, (2, 2)) }?;
    assert_eq!(tensor.transpose(0, 1)?.to_vec(), [1, 3, 2, 4]);
    assert_eq!(tensor.fill(0), Err(TensorError::ReadOnly));
    assert_eq!(tensor.set((0, 0), 0), Err(TensorError::ReadOnly));
    assert_eq!(tensor.write().map(drop), Err(TensorError::ReadOnly));
    tensor.copy()?.fill(0)
}

#[test]
fn conversions_round_saturate_and_wrap() -> Outcome {
    let floats = Tensor::from_vec(6, vec![2.5f32, -0.6, 1e20, -1e20, f32::NAN, 300.7])?;
    assert_eq!(floats.cast::<i32>()?.to_vec(), [2, 0, i32::MAX, i32::MIN, 0, 300]);
    assert_eq!(floats.cast::<u8>()?.to_vec(), [2, 0, 255, 0, 0, 255]);
    assert_eq!(floats.cast::<u32>()?.to_vec(), [2, 0, u32::MAX, 0, 0, 300]);
    assert_eq!(floats.cast::<i64>()?.to_vec(), [2, 0, i64::MAX, i64::MIN, 0, 300]);
    assert_eq!(floats.cast::<bool>()?.to_vec(), [true; 6]);
    let integers = Tensor::from_vec(4, vec![300i64, -1, 1 << 40, 0])?;
    assert_eq!(integers.cast::<i8>()?.to_vec(), [44, -1, 0, 0]);
    assert_eq!(integers.cast::<u32>()?.to_vec(), [300, u32::MAX, 0, 0]);
    assert_eq!(integers.cast::<bool>()?.to_vec(), [true, true, true, false]);
    assert_eq!(integers.cast::<f64>()?.cast::<i64>()?.to_vec(), integers.to_vec());
    let halves = Tensor::from_vec(2, vec![true, false])?.cast::<f16>()?.cast::<bf16>()?;
    assert_eq!(halves.to_vec(), [bf16::ONE, bf16::ZERO]);
    Ok(())
}

#[test]
fn debug_shows_the_shape_and_the_first_elements() {
    assert_eq!(format!("{:?}", Tensor::<i32>::arange(2)), "Tensor<i32>[2] [0, 1]");
    let long = Tensor::<f32>::zeros((3, 4));
    assert_eq!(format!("{long:?}"), "Tensor<f32>[3, 4] [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, ..]");
}

#[test]
fn threads_may_read_together() -> Outcome {
    let tensor = cube()?;
    let sums = std::thread::scope(|scope| {
        let sum = || tensor.iter().map(Iterator::sum);
        let threads = [scope.spawn(sum), scope.spawn(sum)];
        threads.map(|thread| thread.join().unwrap_or(Ok(0)))
    });
    assert_eq!(sums, [Ok(276), Ok(276)]);
    Ok(())
}

/// Pseudo-random numbers below a bound.
fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below.max(1)
    }
}

/// A tensor of its own, from where each of its elements is in another.
fn remap(
    from: &Tensor<i32>,
    shape: &[usize],
    mut place: impl FnMut(&mut Vec<usize>),
) -> Result<Tensor<i32>, TensorError> {
    let from = from.copy()?;
    Ok(Tensor::from_fn(shape, |index| {
        let mut index = index.to_vec();
        place(&mut index);
        from.get(&index).unwrap_or(i32::MIN)
    }))
}

/// A random view, and what it should be by the view's definition.
fn random_view(
    tensor: &Tensor<i32>,
    random: &mut impl FnMut(usize) -> usize,
) -> Result<(Tensor<i32>, Tensor<i32>), TensorError> {
    let mut shape = tensor.shape().to_vec();
    let (a, b) = (random(shape.len()), random(shape.len()));
    match random(6) {
        0 => {
            shape.swap(a, b);
            Ok((tensor.transpose(a, b)?, remap(tensor, &shape, |index| index.swap(a, b))?))
        }
        1 => {
            let start = random(shape[a] + 1);
            shape[a] = random(shape[a] - start + 1);
            Ok((tensor.narrow(a, start, shape[a])?, remap(tensor, &shape, |index| index[a] += start)?))
        }
        2 => {
            let length = shape[a];
            Ok((tensor.flip(a)?, remap(tensor, &shape, |index| index[a] = length - 1 - index[a])?))
        }
        3 if shape.len() < 6 => {
            shape.insert(a, 1);
            Ok((
                tensor.unsqueeze(a)?,
                remap(tensor, &shape, |index| {
                    index.remove(a);
                })?,
            ))
        }
        4 if shape[a] > 0 && shape.len() > 1 => {
            let at = random(shape[a]);
            shape.remove(a);
            Ok((tensor.select(a, at)?, remap(tensor, &shape, |index| index.insert(a, at))?))
        }
        _ => {
            let merged: Vec<_> = match shape.as_slice() {
                [first, second, rest @ ..] => [&[first * second], rest].concat(),
                other => other.to_vec(),
            };
            let copy = tensor.copy()?.reshape(&merged)?;
            Ok((tensor.reshape(&merged).unwrap_or_else(|_| copy.clone()), copy))
        }
    }
}

#[test]
fn chains_of_views_mean_what_each_view_means() -> Outcome {
    let mut random = random(7);
    for _ in 0..if cfg!(miri) { 5 } else { 300 } {
        let base = Tensor::<i32>::arange(60).reshape((3, 4, 5))?;
        let mut view = base.clone();
        for _ in 0..5 {
            let (next, expected) = random_view(&view, &mut random)?;
            assert_eq!((next.shape(), next.to_vec()), (expected.shape(), expected.to_vec()), "of {view:?}");
            view = next;
        }
        if std::sync::Arc::ptr_eq(base.storage(), view.storage()) {
            let seen = view.to_vec();
            view.fill(-1)?;
            let expected = (0..60).map(|i| if seen.contains(&i) { -1 } else { i });
            assert_eq!(base.to_vec(), expected.collect::<Vec<_>>(), "writing {view:?}");
        }
    }
    Ok(())
}
