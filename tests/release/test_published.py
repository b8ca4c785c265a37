"""The recipe that is published names files, datasets and lists, but not where a person keeps them."""

from pathlib import Path

from lhama.plan.recipe import load, loads
from lhama.release.sections.reproduce import published

COMMIT = "a" * 40
RECIPE = Path(__file__).parents[2] / "recipes/demo.toml"
SOURCES = f"""
[[corpus.source]]
name = "web"
path = ["/casa/maria/web.jsonl", "s3://balde/maria/textos", "/casa/maria/mais"]
blocklist = "/casa/maria/blocked.txt"

[[corpus.source]]
name = "tarefas"
kind = "instruct"
path = "hf://datasets/org/tarefas"
revision = "{COMMIT}"

[[corpus.source]]
name = "baixado"
kind = "hub"
path = "/casa/maria/conjunto"

[[corpus.classifier]]
name = "toxico"
labels = ["/casa/maria/rotulos.jsonl"]

[corpus]
opt_out = "/casa/maria/fora.txt"
decontaminate = ["/casa/maria/prova.jsonl", "faquad"]
tasks = "/casa/maria/tarefas"
"""
TRAIN = 'mirror = "/casa/maria/espelho"\nstream = "s3://balde/maria/tokens"\n'
RELEASE = 'compare_tokenizers = ["/casa/maria/llama-2/tokenizer.json", "/casa/maria/outro.json"]\n'


def test_no_folder_of_a_person_is_published_and_the_recipe_loads_again() -> None:
    extra, corpus = SOURCES.split("[corpus]\n")
    text = RECIPE.read_text(encoding="utf-8").replace("[corpus]\n", f"[corpus]\n{corpus}", 1) + extra
    text = text.replace("[train]\n", f"[train]\n{TRAIN}", 1).replace("[release]\n", f"[release]\n{RELEASE}", 1)
    shown = published(loads(text, folder=Path("/casa/maria")))
    assert "maria" not in shown
    whole = loads(shown, folder=Path("/outra"))
    assert (whole.train.mirror, whole.train.stream) == ("/outra/espelho", "/outra/tokens")
    assert whole.release.compare_tokenizers == ("/outra/llama-2/tokenizer.json", "/outra/outro.json")
    again = whole.corpus
    web, tasks, downloaded = again.source[1:]
    assert web.paths == ("/outra/web.jsonl", "/outra/textos", "/outra/mais") and web.blocklist == "/outra/blocked.txt"
    assert (tasks.dataset, tasks.revision) == ("org/tarefas", COMMIT)
    assert downloaded.is_downloaded and downloaded.dataset == "/outra/conjunto"
    assert again.classifier[0].label_files == ("/outra/rotulos.jsonl",)
    assert again.decontaminate == ("/outra/prova.jsonl", "faquad")


def test_a_recipe_without_paths_stays_as_it_is() -> None:
    recipe = load("demo")
    assert loads(published(recipe)) == recipe
