use tilewright::prelude::*;

#[kernel]
fn copy<T: Float, M>(x: &Tensor<T, M>, out: &mut Tensor<T, M>) {
    for m in tile(M) {
        out[m] = x[m];
    }
}

fn call() -> Result<(), Error> {
    let x = Tensor::<f64>::zeros(3);
    let mut y = Tensor::<f64>::zeros(3);
    copy(&x, &mut y)
}

fn main() {
    let _ = call();
}
