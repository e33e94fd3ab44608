"""Tiny base models that the tests make: every architecture with random weights, and a tokenizer of bytes."""

import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from tamis.ml.base_models import load_base

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 160,
    "vocab_size": 300,
}
CHATML = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + eos_token }}"
    "{% if message['role'] == 'refuse' %}{{ raise_exception('no') }}{% endif %}{% endfor %}"
)


def tokenizer_of(decoder=False):
    """Every byte is a token: nothing is unknown, and lengths are easy to tell."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<pad>", "<s>", "</s>"]
    vocabulary = {token: number for number, token in enumerate([*special, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.add_special_tokens(special)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if not decoder:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    return tokenizer


DECODER = {"num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2}
CONFIGS = {
    "bert": ("BertConfig", {}),
    "roberta": ("RobertaConfig", {}),
    "xlm-roberta": ("XLMRobertaConfig", {}),
    "camembert": ("CamembertConfig", {}),
    "electra": ("ElectraConfig", {"embedding_size": 16}),
    "distilbert": ("DistilBertConfig", {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48}),
    "modernbert": ("ModernBertConfig", {"local_attention": 16, "cls_token_id": 1, "sep_token_id": 2}),
    "deberta-v2": ("DebertaV2Config", {"relative_attention": True, "pos_att_type": ["p2c"], "position_buckets": 16}),
    "albert": ("AlbertConfig", {"embedding_size": 16}),
    "llama": ("LlamaConfig", DECODER),
    "mistral": ("MistralConfig", DECODER),
    "qwen2": ("Qwen2Config", DECODER),
}


def config_of(kind):
    import transformers

    name, more = CONFIGS[kind]
    special = {} if kind in DECODERS else {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return getattr(transformers, name)(**{**SIZES, **special, **more})


DECODERS = ("llama", "mistral", "qwen2")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """The networks are tiny: threads would only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def network_alone():
    """A network that knows nothing gains by any static model: only who asks for one gets it here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tamis.ml.encoder.trainer.ENOUGH_ROWS", 10_000)
        yield


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory):
    """A function: the folder of a base model of this architecture, with or without a chat template."""
    made = {}

    def make(kind, *, template=False):
        if (kind, template) not in made:
            import torch
            import transformers

            transformers.utils.logging.disable_progress_bar()
            folder = tmp_path_factory.mktemp(f"{kind}-{template}")
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                transformers.AutoModel.from_config(config_of(kind)).save_pretrained(folder)
            (folder / "tokenizer.json").write_text(tokenizer_of(kind in DECODERS).to_str(), encoding="utf-8")
            said = {"bos_token": "<s>", "eos_token": "</s>", "model_max_length": 10**30}
            said |= {} if kind in DECODERS else {"pad_token": "<pad>"}
            said |= {"chat_template": CHATML} if template else {}
            (folder / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
            made[kind, template] = folder
        return made[kind, template]

    return make


@pytest.fixture(scope="session")
def base_of(base_folder):
    """A function: a base model of this architecture, loaded."""
    return lambda kind, **how: load_base(str(base_folder(kind, **how)))


@pytest.fixture(scope="session")
def tokenizer_json():
    """A tokenizer of bytes that puts a mark before and after a text."""
    return tokenizer_of().to_str().encode()


@pytest.fixture(scope="session")
def bare_tokenizer_json():
    """The same without marks, as decoders have it."""
    return tokenizer_of(decoder=True).to_str().encode()


@pytest.fixture(scope="session")
def rows_of():
    """A function: n texts about k things, each word of one of them."""

    def make(n, k=3, seed=0):
        import random

        chosen = random.Random(seed)
        words = [[f"{a}{b}" for b in "aeiou"] for a in "bdgkmp"][:k]
        texts = []
        for row in range(n):
            thing = row % k
            texts.append((" ".join(chosen.choice(words[thing]) for _ in range(chosen.randint(2, 6))), f"thing {thing}"))
        return texts

    return make


@pytest.fixture(scope="session")
def dataset_of():
    """A function: a dataset of rows, (input, {target: label or labels}), as the trainer takes it."""
    from tamis.data.dataset import DatasetBuilder
    from tamis.schema import Example

    def make(rows, targets=None, weights=None):
        builder = DatasetBuilder()
        for line, (given, labels) in enumerate(rows, 1):
            plain = {name: (label,) if isinstance(label, str) else tuple(label) for name, label in labels.items()}
            listed = frozenset(name for name, label in labels.items() if not isinstance(label, str))
            weight = 1.0 if weights is None else weights[line - 1]
            builder.add(Example(given, plain, line, listed, weight))
        return builder.finish(targets)

    return make


@pytest.fixture(scope="session")
def stored(base_folder, rows_of, tmp_path_factory):
    """The folder of an encoder that was trained, with two targets, one of them multi-label."""
    import tamis

    rows = [
        {"text": text, "labels": {"thing": label, "tags": [label[-1]] if row % 4 else ["0", "1"]}}
        for row, (text, label) in enumerate(rows_of(60))
    ]
    folder = tmp_path_factory.mktemp("stored") / "model"
    base = str(base_folder("bert", template=True))
    tamis.train(rows, rows[:30], base=base, epochs=6, learning_rate=3e-4, out=folder, name="tiny")
    return folder


@pytest.fixture(scope="session")
def exported(base_folder, tmp_path_factory):
    """A function: a network of this architecture with five labels, and the folder of its model.onnx."""
    import torch

    from tamis.ml.encoder.network import load_network
    from tamis.ml.encoder.onnx_file import export

    made = {}

    def make(kind):
        if kind not in made:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(1)
                network = load_network(base_folder(kind), 5, 0).eval()
            folder = tmp_path_factory.mktemp(f"onnx-{kind}")
            export(network, folder, [[1, 7, 8, 9, 2], [1, 5, 2]], 0)
            made[kind] = network, folder
        return made[kind]

    return make
