//! The real model against sentence-transformers, sentence by sentence.

#[path = "../../../tests/emulator/mod.rs"]
mod emulator;

use minilm::{Embedder, NotFetched, model_folder};
use serde_json::Value;
use tilewright::Device;

/// Sentences and embeddings that examples/minilm/fixture.py stored.
fn fixture() -> Vec<(String, Vec<f32>)> {
    let parse = |line: &str| {
        let object: Value = serde_json::from_str(line).expect("a line of the fixture is JSON");
        let sentence = object["sentence"].as_str().expect("a sentence is a string").to_owned();
        let numbers = object["embedding"].as_array().expect("an embedding is an array");
        let embedding = numbers.iter().map(|n| n.as_f64().expect("of numbers") as f32).collect();
        (sentence, embedding)
    };
    include_str!("../fixture.jsonl").lines().map(parse).collect()
}

/// The model; nothing if it is not there and need not be.
fn embedder() -> Option<Embedder> {
    embedder_on(&Device::cpu())
}

fn embedder_on(device: &Device) -> Option<Embedder> {
    match Embedder::open(&model_folder(), device) {
        Ok(embedder) => Some(embedder),
        Err(error) if error.is::<NotFetched>() && std::env::var_os("TILEWRIGHT_REQUIRE_MODEL").is_none() => {
            // Not through the test harness, which would swallow it.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("\nSKIPPED, nothing was compared: {error}\n").as_bytes(),
            );
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn assert_close(sentence: &str, embedding: &[f32], expected: &[f32]) {
    assert_eq!(embedding.len(), expected.len());
    for (at, (ours, theirs)) in embedding.iter().zip(expected).enumerate() {
        let apart = (ours - theirs).abs();
        assert!(apart <= 1e-5, "component {at} of {sentence:?} is {ours}, expected {theirs}");
    }
}

#[test]
fn embeddings_equal_sentence_transformers() {
    let Some(mut embedder) = embedder() else { return };
    let fixture = fixture();
    assert!(fixture.len() >= 30);
    let sentences: Vec<&str> = fixture.iter().map(|(sentence, _)| sentence.as_str()).collect();
    let embeddings = embedder.embed(&sentences).expect("the fixture embeds");
    for ((sentence, expected), embedding) in fixture.iter().zip(&embeddings) {
        assert_close(sentence, embedding, expected);
    }
}

#[test]
fn a_sentence_does_not_depend_on_its_batch() {
    let Some(mut embedder) = embedder() else { return };
    for (sentence, expected) in fixture().iter().filter(|(sentence, _)| sentence.len() < 200) {
        let alone = embedder.embed(&[sentence]).expect("a sentence embeds");
        assert_close(sentence, &alone[0], expected);
    }
}

/// A few short ones: the emulated GPU is slow.
#[test]
fn embeddings_on_a_gpu_are_those_of_the_cpu() {
    if !emulator::inside("embeddings_on_a_gpu_are_those_of_the_cpu", &[("TW_EMULATOR_SEED", "1")]) {
        return;
    }
    let sentences = ["A cat sleeps.", "Ein zweiter Satz, etwas länger.", ""];
    for device in ["cuda", "rocm"] {
        let device: Device = device.parse().expect("the emulated GPU is there");
        let (Some(mut there), Some(mut here)) = (embedder_on(&device), embedder()) else { return };
        let (there, here) =
            (there.embed(&sentences).expect("embeds"), here.embed(&sentences).expect("embeds"));
        for (there, here) in there.iter().zip(&here) {
            let furthest = there.iter().zip(here).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(furthest < 1e-5, "{furthest} on {device}");
        }
    }
}
