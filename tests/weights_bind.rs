//! `#[derive(Weights)]`: what fits is bound, and what does not is told in one error.

use std::path::PathBuf;
use tilewright::prelude::*;
use tilewright::weights::{Bind, Problem, Report, Stored, WeightsError, save};

#[derive(Weights, Debug)]
struct Layer {
    #[weight("query.weight", shape = (H, H))]
    query: Tensor<f32>,
    #[weight("query.bias", shape = H)]
    bias: Tensor<f32>,
    #[weight("extra", shape = (H,), optional)]
    extra: Option<Tensor<f32>>,
}

#[derive(Weights, Debug)]
struct Pooler {
    #[weight("dense.weight", shape = (H, H))]
    dense: Tensor<f32>,
}

#[derive(Weights, Debug)]
#[weights(dims(V, H), ignore = "position_ids", ignore = "cls.")]
struct Model {
    #[weight("words", shape = (V, H))]
    words: Tensor<f32>,
    #[weight(prefix = "layer.{i}.")]
    layers: Vec<Layer>,
    #[weight("qkv", shape = (3 * H, H))]
    qkv: Tensor<f32>,
    #[weight("lm_head", shape = (V, H), tied = "words")]
    head: Tensor<f32>,
    #[weight(prefix = "pooler.", optional)]
    pooler: Option<Pooler>,
    #[weight("scale", shape = (), convert)]
    scale: Tensor<f32>,
    #[weight("mix.{i}.alpha", shape = (_, 2))]
    mix: Vec<Tensor<f32>>,
}

type Named = (String, Box<dyn Stored>);

fn floats(name: &str, shape: &[usize]) -> Named {
    (name.to_owned(), Box::new(Tensor::<f32>::zeros(shape)))
}

/// What fits `Model` with V = 10, H = 4 and two layers.
fn fitting() -> Vec<Named> {
    let mut tensors = vec![
        floats("words", &[10, 4]),
        floats("qkv", &[12, 4]),
        ("scale".to_owned(), Box::new(Tensor::scalar(2.5f64))),
        floats("mix.0.alpha", &[7, 2]),
        floats("mix.1.alpha", &[9, 2]),
    ];
    for i in 0..2 {
        tensors.push(floats(&format!("layer.{i}.query.weight"), &[4, 4]));
        tensors.push(floats(&format!("layer.{i}.query.bias"), &[4]));
    }
    tensors
}

fn without(name: &str) -> Vec<Named> {
    fitting().into_iter().filter(|(n, _)| n != name).collect()
}

fn replacing(name: &str, shape: &[usize]) -> Vec<Named> {
    let mut tensors = without(name);
    tensors.push(floats(name, shape));
    tensors
}

fn and(more: &[(&str, &[usize])]) -> Vec<Named> {
    fitting().into_iter().chain(more.iter().map(|(name, shape)| floats(name, shape))).collect()
}

fn saved(tensors: &[Named]) -> Weights {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path: PathBuf = std::env::temp_dir().join(format!("tilewright-bind-{}-{count}", std::process::id()));
    let tensors: Vec<(&str, &dyn Stored)> = tensors.iter().map(|(n, t)| (n.as_str(), t.as_ref())).collect();
    let weights = save(&path, &tensors).and_then(|()| Weights::open(&path));
    std::fs::remove_file(&path).ok();
    weights.unwrap_or_else(|e| panic!("{e}"))
}

fn report_of<B: Bind>(tensors: &[Named]) -> Report {
    match saved(tensors).bind::<B>() {
        Err(WeightsError::Bind(report)) => report,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was bound"),
    }
}

fn problems(tensors: &[Named]) -> Vec<String> {
    report_of::<Model>(tensors).problems.iter().map(Problem::to_string).collect()
}

#[test]
fn a_model_that_fits_is_bound() -> Result<(), WeightsError> {
    let model: Model = saved(&fitting()).bind()?;
    assert_eq!(model.words.shape(), [10, 4]);
    assert_eq!(model.head.shape(), [10, 4]);
    assert_eq!(model.layers.len(), 2);
    assert_eq!(model.layers[1].query.shape(), [4, 4]);
    assert_eq!(model.layers[1].bias.shape(), [4]);
    assert!(model.layers[1].extra.is_none());
    assert!(model.pooler.is_none());
    assert_eq!(model.scale.to_vec(), [2.5]);
    assert_eq!(model.qkv.shape(), [12, 4]);
    assert_eq!(model.mix.iter().map(|m| m.shape()[0]).collect::<Vec<_>>(), [7, 9]);
    Ok(())
}

#[test]
fn optional_and_tied_tensors_are_taken_when_there() -> Result<(), WeightsError> {
    let tensors = and(&[
        ("layer.1.extra", &[4]),
        ("lm_head", &[10, 4]),
        ("pooler.dense.weight", &[4, 4]),
        ("cls.x", &[9]),
    ]);
    let model: Model = saved(&tensors).bind()?;
    assert!(model.layers[0].extra.is_none());
    assert!(model.layers[1].extra.is_some());
    assert_eq!(model.pooler.map(|p| p.dense.len()), Some(16));
    Ok(())
}

#[test]
fn more_than_ten_elements_are_in_the_order_of_their_numbers() -> Result<(), WeightsError> {
    #[derive(Weights)]
    struct List {
        #[weight("x.{i}")]
        x: Vec<Tensor<f32>>,
    }
    let tensors: Vec<Named> = (0..12).map(|i| floats(&format!("x.{i}"), &[i])).collect();
    let list: List = saved(&tensors).bind()?;
    assert_eq!(list.x.iter().map(Tensor::len).collect::<Vec<_>>(), (0..12).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn everything_wrong_is_told_at_once() {
    let mut tensors =
        and(&[("surplus", &[1]), ("layer.0.query.weights", &[4, 4]), ("layer.3.query.bias", &[4])]);
    tensors
        .retain(|(name, _)| name != "layer.0.query.weight" && name != "qkv" && name != "layer.1.query.bias");
    tensors.push(("layer.1.query.bias".to_owned(), Box::new(Tensor::<i64>::zeros(5))));
    tensors.push(floats("qkv", &[12]));
    let found = problems(&tensors);
    let expected = [
        r#"missing: 2 of "layer.{i}." for the list `layers`, which counts from 0 without holes"#,
        r#"missing: "layer.0.query.weight" for the field `layers[0].query`; did you mean "layer.0.query.weights"?"#,
        r#"wrong dtype: "layer.1.query.bias" is stored as I64, but the field `layers[1].bias` holds f32; `convert` in #[weight(…)] converts it"#,
        r#"missing: "layer.3.query.weight" for the field `layers[3].query`; did you mean "layer.1.query.weight"?"#,
        r#"misshapen: "qkv" is [12], but the field `qkv` has the shape (3 * H, H)"#,
        r#"misshapen: the first dimension of "layer.1.query.bias", H, is 5, but H is 4 in the second dimension of "words""#,
        r#"unexpected: "layer.0.query.weights" is taken by no field; add one, or `ignore` it in #[weights(…)] if it is not needed"#,
        r#"unexpected: "surplus" is taken by no field; add one, or `ignore` it in #[weights(…)] if it is not needed"#,
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_odd_one_out_is_blamed_even_if_it_comes_first() {
    let expected = r#"misshapen: the second dimension of "words", H, is 5, but H is 4 in the first dimension of "layer.0.query.weight""#;
    let found = problems(&replacing("words", &[10, 5]));
    // `head` is tied to `words`; that it says the same is not told again.
    assert_eq!(found, [expected]);
}

#[test]
fn factors_and_numbers_in_shapes_are_checked() {
    let found = problems(&replacing("qkv", &[13, 4]));
    assert_eq!(found, [r#"misshapen: the first dimension of "qkv", 3 * H, is 13, no multiple of 3"#]);
    let found = problems(&replacing("qkv", &[15, 4]));
    assert_eq!(
        found,
        [
            r#"misshapen: the first dimension of "qkv", 3 * H, is 15, but H is 4 in the second dimension of "words""#
        ]
    );
    let found = problems(&replacing("mix.1.alpha", &[9, 3]));
    assert_eq!(found, [r#"misshapen: the second dimension of "mix.1.alpha" is 3, not 2"#]);
}

#[test]
fn an_absent_list_is_missing_unless_optional() -> Result<(), WeightsError> {
    let tensors: Vec<Named> =
        fitting().into_iter().filter(|(n, _)| !n.starts_with("layer.") && !n.starts_with("mix.")).collect();
    let found = problems(&tensors);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with(r#"missing: no tensor is named like "layer.{i}.""#), "{}", found[0]);
    #[derive(Weights)]
    struct Maybe {
        #[weight(prefix = "layer.{i}.", optional)]
        layers: Vec<Layer>,
    }
    assert!(saved(&[]).bind::<Maybe>()?.layers.is_empty());
    Ok(())
}

#[test]
fn a_prefix_in_front_of_everything_is_found_and_can_be_given() -> Result<(), WeightsError> {
    let prefixed: Vec<Named> = fitting().into_iter().map(|(n, t)| (format!("bert.{n}"), t)).collect();
    let found = problems(&prefixed);
    assert!(found[0].ends_with(r#"did you mean "bert.words"?"#), "{}", found[0]);
    assert!(found[1].contains(r#"did you mean names like "bert.layer.0."#), "{}", found[1]);
    let model: Model = saved(&prefixed).bind_under("bert.")?;
    assert_eq!(model.layers.len(), 2);
    Ok(())
}

#[test]
fn local_dimensions_differ_between_instances() -> Result<(), WeightsError> {
    #[derive(Weights)]
    #[weights(dims(B), local(N, K))]
    struct Linear<T: Float> {
        #[weight("weight", shape = (N, K))]
        weight: Tensor<T>,
        #[weight("bias", shape = (B, N))]
        bias: Tensor<T>,
    }
    #[derive(Weights)]
    struct Network<T: Float> {
        #[weight(prefix = "first.")]
        first: Linear<T>,
        #[weight(prefix = "second.")]
        second: Linear<T>,
    }
    let tensors = |second_bias: usize| {
        vec![
            floats("first.weight", &[3, 2]),
            floats("first.bias", &[1, 3]),
            floats("second.weight", &[5, 3]),
            floats("second.bias", &[1, second_bias]),
        ]
    };
    let network: Network<f32> = saved(&tensors(5)).bind()?;
    assert_eq!((network.first.weight.len(), network.second.weight.len()), (6, 15));
    assert_eq!((network.first.bias.len(), network.second.bias.len()), (3, 5));
    let report = report_of::<Network<f32>>(&tensors(6));
    assert_eq!(report.structure, "Network");
    assert_eq!(report.problems.len(), 1);
    assert!(report.to_string().contains("N is 5 in the first dimension of \"second.weight\""), "{report}");
    let wrong = report_of::<Network<f16>>(&tensors(5));
    assert_eq!(wrong.problems.len(), 4, "{wrong}");
    Ok(())
}

#[test]
fn bound_tensors_borrow_and_tied_ones_share() -> Result<(), WeightsError> {
    let model: Model = saved(&fitting()).bind()?;
    assert!(model.words.is_read_only() && model.head.is_read_only());
    Ok(())
}

#[test]
fn numbers_with_leading_zeros_or_signs_are_no_numbers_of_a_list() {
    let found =
        problems(&and(&[("mix.01.alpha", &[1, 2]), ("mix.+2.alpha", &[1, 2]), ("mix.2.beta", &[1, 2])]));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|p| p.starts_with("unexpected: ")), "{found:?}");
}

#[test]
fn a_huge_number_in_a_name_is_a_hole_and_nothing_more() {
    let name = format!("mix.{}.alpha", usize::MAX);
    let found = problems(&and(&[(&name, &[1, 2])]));
    let expected = format!("missing: 2 to {} of", usize::MAX - 1);
    assert!(found[0].starts_with(&expected), "{found:?}");
    assert_eq!(found.len(), 1);
}
