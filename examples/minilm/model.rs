//! The weights as the checkpoint names them, and the layers in order.

use crate::kernels;
use crate::tokenize::Batch;
use serde_json::Value;
use std::path::Path;
use tilewright::prelude::*;
use tilewright::weights::Weights;

/// What can go wrong while opening.
type Opening<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What the configuration files say and the weights do not.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Longer sentences are truncated.
    pub max_tokens: usize,
    /// Attention heads a layer.
    pub heads: usize,
    /// Added to the variance in each layer norm.
    pub epsilon: f32,
}

impl Settings {
    /// From `config.json` and `sentence_bert_config.json`.
    ///
    /// # Errors
    /// If a file or an entry is missing, or asks for a network that this is not.
    pub fn read(folder: &Path) -> Opening<Self> {
        let open = |name: &str| -> Opening<Value> {
            let file = folder.join(name);
            let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
            Ok(serde_json::from_str(&text).map_err(|e| format!("{}: {e}", file.display()))?)
        };
        let (bert, sentence) = (open("config.json")?, open("sentence_bert_config.json")?);
        for (key, expected) in [("model_type", "bert"), ("hidden_act", "gelu")] {
            if bert[key] != expected {
                return Err(
                    format!("config.json: {key} is {}, this program knows {expected:?}", bert[key]).into()
                );
            }
        }
        let integer = |value: &Value, key: &str| {
            let found = value[key].as_u64().and_then(|n| usize::try_from(n).ok());
            found.ok_or_else(|| format!("{key} is {}, not a number", value[key]))
        };
        Ok(Settings {
            max_tokens: integer(&sentence, "max_seq_length")?,
            heads: integer(&bert, "num_attention_heads")?,
            epsilon: bert["layer_norm_eps"].as_f64().ok_or("layer_norm_eps is not a number")? as f32,
        })
    }
}

/// The tensors of model.safetensors. `V` words, `P` positions, `Y` kinds of sentence, `E` values a
/// token, `I` in the inner layer.
#[derive(Debug, Weights)]
#[weights(dims(V, P, Y, E), ignore = "embeddings.position_ids", ignore = "pooler.")]
pub struct Checkpoint {
    #[weight("embeddings.word_embeddings.weight", shape = (V, E))]
    word: Tensor<f32>,
    #[weight("embeddings.position_embeddings.weight", shape = (P, E))]
    position: Tensor<f32>,
    #[weight("embeddings.token_type_embeddings.weight", shape = (Y, E))]
    kind: Tensor<f32>,
    #[weight(prefix = "embeddings.LayerNorm.")]
    norm: LayerNorm,
    #[weight(prefix = "encoder.layer.{i}.")]
    blocks: Vec<Block>,
}

/// Gain and shift.
#[derive(Debug, Weights)]
#[weights(dims(E))]
struct LayerNorm {
    #[weight("weight", shape = E)]
    gain: Tensor<f32>,
    #[weight("bias", shape = E)]
    shift: Tensor<f32>,
}

/// One of the six.
#[derive(Debug, Weights)]
#[weights(dims(E, I))]
struct Block {
    #[weight("attention.self.query.weight", shape = (E, E))]
    query: Tensor<f32>,
    #[weight("attention.self.query.bias", shape = E)]
    query_bias: Tensor<f32>,
    #[weight("attention.self.key.weight", shape = (E, E))]
    key: Tensor<f32>,
    #[weight("attention.self.key.bias", shape = E)]
    key_bias: Tensor<f32>,
    #[weight("attention.self.value.weight", shape = (E, E))]
    value: Tensor<f32>,
    #[weight("attention.self.value.bias", shape = E)]
    value_bias: Tensor<f32>,
    #[weight("attention.output.dense.weight", shape = (E, E))]
    mix: Tensor<f32>,
    #[weight("attention.output.dense.bias", shape = E)]
    mix_bias: Tensor<f32>,
    #[weight(prefix = "attention.output.LayerNorm.")]
    mix_norm: LayerNorm,
    #[weight("intermediate.dense.weight", shape = (I, E))]
    widen: Tensor<f32>,
    #[weight("intermediate.dense.bias", shape = I)]
    widen_bias: Tensor<f32>,
    #[weight("output.dense.weight", shape = (E, I))]
    narrow: Tensor<f32>,
    #[weight("output.dense.bias", shape = E)]
    narrow_bias: Tensor<f32>,
    #[weight(prefix = "output.LayerNorm.")]
    narrow_norm: LayerNorm,
}

/// Queries, keys and values of a block in one matrix: one product makes all three.
#[derive(Debug)]
struct Stacked {
    weight: Tensor<f32>,
    bias: Tensor<f32>,
}

/// The network, ready to run.
#[derive(Debug)]
pub struct Bert {
    weights: Checkpoint,
    /// One a block.
    qkv: Vec<Stacked>,
    settings: Settings,
    device: Device,
}

/// What a batch needs between its ids and its embeddings: grows to the largest batch seen, and is
/// then only viewed.
#[derive(Debug, Default)]
pub struct Activations {
    rows: usize,
    buffers: Option<Buffers>,
}

/// `rows` rows each.
#[derive(Clone, Debug)]
struct Buffers {
    /// The hidden state, `E` wide.
    hidden: Tensor<f32>,
    /// What attention or the inner layer makes, `E` wide.
    context: Tensor<f32>,
    /// What is added to the hidden state, `E` wide.
    update: Tensor<f32>,
    /// Queries, keys and values, `3 E` wide.
    qkv: Tensor<f32>,
    /// The inner layer.
    inner: Tensor<f32>,
}

impl Bert {
    /// Maps the file and binds every tensor, on the device that the network is to run on.
    ///
    /// # Errors
    /// If the file is damaged, its tensors are not this network's, or the device has no room for them.
    pub fn open(file: &Path, settings: Settings, device: &Device) -> Opening<Self> {
        let file = Weights::open(file)?;
        let weights: Checkpoint = file.bind()?;
        let stack = |block: &Block| block.stacked()?.to(device);
        let qkv: Vec<Stacked> = weights.blocks.iter().map(stack).collect::<Result<_, _>>()?;
        qkv.iter().for_each(|part| part.weight.keep_packed());
        Ok(Bert { weights: file.to(device).keep_packed().bind()?, qkv, settings, device: *device })
    }

    /// The embeddings of a batch, a row of length 1 each.
    ///
    /// # Errors
    /// If a launch fails: an id beyond the vocabulary, a sentence beyond the position table.
    pub fn embed(&self, batch: &Batch, activations: &mut Activations) -> Result<Tensor<f32>, Error> {
        let (n_sentences, width) = (batch.lengths.len(), batch.width);
        let lengths = Tensor::from_slice([n_sentences], &batch.lengths)?.to(&self.device)?;
        let ids = Tensor::from_slice([n_sentences, width], &batch.ids)?.to(&self.device)?;
        let mut at = activations.view(n_sentences * width, self)?;

        let Checkpoint { word, position, kind, norm, .. } = &self.weights;
        let n_values = norm.gain.len();
        let mut hidden = at.hidden.reshape([n_sentences, width, n_values])?;
        kernels::embed(
            &ids,
            word,
            position,
            kind,
            &norm.gain,
            &norm.shift,
            &mut hidden,
            self.settings.epsilon,
        )?;
        for (block, qkv) in self.weights.blocks.iter().zip(&self.qkv) {
            self.run_block(block, qkv, &lengths, width, &mut at)?;
        }
        let mut pooled = Tensor::zeros_on([n_sentences, n_values], &self.device)?;
        kernels::mean_pool(&hidden, &lengths, &mut pooled)?;
        kernels::normalize(&mut pooled)?;
        pooled.to(&Device::cpu())
    }

    /// Attention and the inner layer, each added to the hidden state and normalised.
    fn run_block(
        &self,
        block: &Block,
        qkv: &Stacked,
        lengths: &Tensor<i32>,
        width: usize,
        at: &mut Buffers,
    ) -> Result<(), Error> {
        let (n_sentences, heads) = (lengths.len(), self.settings.heads);
        let depth = at.hidden.shape()[1] / heads;
        kernels::linear(&at.hidden, &qkv.weight, &qkv.bias, &mut at.qkv)?;
        kernels::attention(
            &at.qkv.reshape([n_sentences, width, 3, heads, depth])?,
            lengths,
            &mut at.context.reshape([n_sentences, width, heads, depth])?,
            1.0 / (depth as f32).sqrt(),
        )?;
        kernels::linear(&at.context, &block.mix, &block.mix_bias, &mut at.update)?;
        self.add_norm(&block.mix_norm, at)?;
        kernels::linear_gelu(&at.hidden, &block.widen, &block.widen_bias, &mut at.inner)?;
        kernels::linear(&at.inner, &block.narrow, &block.narrow_bias, &mut at.update)?;
        self.add_norm(&block.narrow_norm, at)
    }

    fn add_norm(&self, norm: &LayerNorm, at: &mut Buffers) -> Result<(), Error> {
        kernels::add_norm(&at.update, &norm.gain, &norm.shift, &mut at.hidden, self.settings.epsilon)
    }
}

impl Block {
    /// Query, key and value below each other.
    fn stacked(&self) -> Result<Stacked, Error> {
        let parts =
            [(&self.query, &self.query_bias), (&self.key, &self.key_bias), (&self.value, &self.value_bias)];
        let (n_out, n_in) = (self.query.shape()[0], self.query.shape()[1]);
        let (weight, bias) = (Tensor::zeros([3 * n_out, n_in]), Tensor::zeros([3 * n_out]));
        for (at, (part, part_bias)) in parts.into_iter().enumerate() {
            weight.narrow(0, at * n_out, n_out)?.copy_from(part)?;
            bias.narrow(0, at * n_out, n_out)?.copy_from(part_bias)?;
        }
        Ok(Stacked { weight, bias })
    }
}

impl Stacked {
    fn to(&self, device: &Device) -> Result<Stacked, Error> {
        Ok(Stacked { weight: self.weight.to(device)?, bias: self.bias.to(device)? })
    }
}

impl Activations {
    /// The first `rows` rows of every buffer.
    fn view(&mut self, rows: usize, model: &Bert) -> Result<Buffers, Error> {
        if self.buffers.is_none() || self.rows < rows {
            self.rows = rows;
            self.buffers = Some(Buffers::new(rows, model)?);
        }
        match &self.buffers {
            Some(buffers) => buffers.narrowed(rows),
            None => unreachable!("they were just made"),
        }
    }
}

impl Buffers {
    fn new(rows: usize, model: &Bert) -> Result<Self, Error> {
        let matrix = |columns: usize| Tensor::zeros_on([rows, columns], &model.device);
        let width = model.weights.norm.gain.len();
        let inner = model.weights.blocks.iter().map(|block| block.widen_bias.len()).max().unwrap_or(0);
        Ok(Buffers {
            hidden: matrix(width)?,
            context: matrix(width)?,
            update: matrix(width)?,
            qkv: matrix(3 * width)?,
            inner: matrix(inner)?,
        })
    }

    fn narrowed(&self, rows: usize) -> Result<Self, Error> {
        Ok(Buffers {
            hidden: self.hidden.narrow(0, 0, rows)?,
            context: self.context.narrow(0, 0, rows)?,
            update: self.update.narrow(0, 0, rows)?,
            qkv: self.qkv.narrow(0, 0, rows)?,
            inner: self.inner.narrow(0, 0, rows)?,
        })
    }
}
