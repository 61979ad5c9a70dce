//! Whether two views of one storage share an element.
//!
//! First their byte ranges; where those meet, exactly: the views share an element if the difference of
//! their first elements is a sum of strides times bounded counts. That is a bounded subset-sum, solved
//! by depth-first search over the strides, largest first, which is short for strides that nest, as those
//! of tensor views do. A search that is not short ends in "yes".

use crate::tensor::MAX_RANK;

/// A view in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// Address of the element whose index is all zeros.
    pub first: usize,
    /// Bytes of an element.
    pub size: usize,
    pub shape: [usize; MAX_RANK],
    /// In bytes.
    pub strides: [isize; MAX_RANK],
    pub rank: usize,
}

impl Span {
    fn dimensions(&self) -> impl Iterator<Item = (usize, isize)> {
        self.shape.into_iter().zip(self.strides).take(self.rank)
    }

    fn is_empty(&self) -> bool {
        self.dimensions().any(|(length, _)| length == 0)
    }

    /// First byte, and the one past the last. Not for empty views.
    fn range(&self) -> (i128, i128) {
        let (mut low, mut high) = (self.first as i128, self.first as i128 + self.size as i128);
        for (length, stride) in self.dimensions() {
            let reach = (length as i128 - 1) * stride as i128;
            low += reach.min(0);
            high += reach.max(0);
        }
        (low, high)
    }

    pub(crate) fn is_same_view(&self, other: &Span) -> bool {
        let both = self.dimensions().zip(other.dimensions());
        self.first == other.first
            && self.size == other.size
            && self.rank == other.rank
            && both.into_iter().all(|(a, b)| a.0 == b.0 && (a.1 == b.1 || a.0 == 1))
    }

    /// Whether some byte belongs to both; in doubt, true.
    pub(crate) fn overlaps(&self, other: &Span) -> bool {
        if self.is_empty() || other.is_empty() {
            return false;
        }
        let ((low, high), (other_low, other_high)) = (self.range(), other.range());
        if high <= other_low || other_high <= low {
            return false;
        }
        let mut terms = Terms::default();
        // Which byte of the element: two elements that overlap in part overlap too.
        terms.add(1, self.size as u128 - 1);
        terms.add(1, other.size as u128 - 1);
        for (length, stride) in self.dimensions().chain(other.dimensions()) {
            terms.add(stride.unsigned_abs() as u128, length as u128 - 1);
        }
        // high - 1 - Σ(own steps) = low' + Σ(other's steps), each step from 0 to its bound.
        terms.reach((high - 1 - other_low).cast_unsigned())
    }
}

/// Σ stride · count with 0 ≤ count ≤ bound, strides descending.
#[derive(Default)]
struct Terms {
    terms: [(u128, u128); 2 * MAX_RANK + 1],
    count: usize,
}

/// Steps of the search before it gives up.
const BUDGET: u32 = 4096;

impl Terms {
    fn add(&mut self, stride: u128, bound: u128) {
        if stride == 0 || bound == 0 {
            return;
        }
        let place = self.terms[..self.count].partition_point(|term| term.0 > stride);
        if place < self.count && self.terms[place].0 == stride {
            self.terms[place].1 += bound;
            return;
        }
        self.terms[place..=self.count].rotate_right(1);
        self.terms[place] = (stride, bound);
        self.count += 1;
    }

    fn reach(&self, target: u128) -> bool {
        let mut budget = BUDGET;
        search(&self.terms[..self.count], target, &mut budget)
    }
}

fn search(terms: &[(u128, u128)], target: u128, budget: &mut u32) -> bool {
    let Some((&(stride, bound), rest)) = terms.split_first() else {
        return target == 0;
    };
    if *budget == 0 {
        return true;
    }
    *budget -= 1;
    let most: u128 = rest.iter().map(|(stride, bound)| stride * bound).sum();
    let least_count = target.saturating_sub(most).div_ceil(stride);
    let most_count = bound.min(target / stride);
    // `rev`: what remains is then small, and found or refuted at once.
    (least_count..=most_count).rev().any(|count| search(rest, target - stride * count, budget))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: usize, shape: &[usize], strides: &[isize]) -> Span {
        let mut span =
            Span { first, size: 4, shape: [0; MAX_RANK], strides: [0; MAX_RANK], rank: shape.len() };
        span.shape[..shape.len()].copy_from_slice(shape);
        for (to, stride) in span.strides.iter_mut().zip(strides) {
            *to = stride * 4;
        }
        span
    }

    /// All elements of both, compared.
    fn share(a: &Span, b: &Span) -> bool {
        let addresses = |span: &Span| {
            let mut all = vec![span.first as isize];
            for (length, stride) in span.dimensions() {
                let step = |at: isize| (0..length as isize).map(move |i| at + i * stride);
                all = all.into_iter().flat_map(step).collect();
            }
            all
        };
        let b = addresses(b);
        addresses(a).iter().any(|address| b.contains(address))
    }

    #[test]
    fn overlap_agrees_with_comparing_all_elements() {
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 33) % below) as usize
        };
        let mut seen = [0; 2];
        for _ in 0..3000 {
            let mut view = || {
                let rank = random(4);
                let shape: Vec<_> = (0..rank).map(|_| random(5)).collect();
                let strides: Vec<_> = (0..rank).map(|_| random(25) as isize - 12).collect();
                span(4096 + 4 * random(60), &shape, &strides)
            };
            let (a, b) = (view(), view());
            assert_eq!(a.overlaps(&b), share(&a, &b));
            seen[usize::from(a.overlaps(&b))] += 1;
        }
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
    }

    #[test]
    fn columns_of_one_matrix_do_not_overlap() {
        let left = span(0, &[1000, 8], &[16, 1]);
        assert!(!left.overlaps(&span(32, &[1000, 8], &[16, 1])));
        assert!(left.overlaps(&span(28, &[1000, 8], &[16, 1])));
        assert!(left.overlaps(&left) && left.is_same_view(&left));
    }

    #[test]
    fn a_search_that_takes_too_long_says_yes() {
        // Even sums never reach an odd target, but no single stride shows it.
        let strides: Vec<isize> = (0..8).map(|i| 2 * (100_003 + 7 * i * i * i)).collect();
        let even = span(0, &[9; 8], &strides);
        assert!(even.overlaps(&Span { first: 4 * 5_000_001, ..even }));
    }
}
