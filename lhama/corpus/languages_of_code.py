"""Which programming language a file is written in, by its name alone.

Names of languages are those of GitHub's Linguist. Endings that several languages share and whose files look alike from
outside (.m, .pl as Prolog, .v) stand for none or for the far more common one; data (JSON, XML, CSV) is no code.
"""

from pathlib import PurePath

_ENDINGS = {
    "Ada": "adb ads",
    "Assembly": "asm s",
    "Awk": "awk",
    "Batchfile": "bat cmd",
    "C": "c h",
    "C#": "cs",
    "C++": "cc cpp cxx hh hpp hxx",
    "CMake": "cmake",
    "COBOL": "cbl cob cpy",
    "CSS": "css",
    "Clojure": "clj cljc cljs",
    "CoffeeScript": "coffee",
    "Common Lisp": "lisp lsp",
    "Crystal": "cr",
    "Cuda": "cu cuh",
    "Cython": "pyx pxd",
    "D": "d",
    "Dart": "dart",
    "Elixir": "ex exs",
    "Elm": "elm",
    "Emacs Lisp": "el",
    "Erlang": "erl hrl",
    "F#": "fs fsi fsx",
    "Fortran": "f f77 f90 f95 f03 f08 for",
    "GLSL": "glsl vert frag",
    "Go": "go",
    "GraphQL": "graphql gql",
    "Groovy": "groovy gradle",
    "HCL": "hcl tf",
    "HTML": "htm html",
    "Haskell": "hs lhs",
    "Java": "java",
    "JavaScript": "js jsx mjs cjs",
    "Julia": "jl",
    "Kotlin": "kt kts",
    "Less": "less",
    "Lua": "lua",
    "Makefile": "mk mak",
    "Markdown": "md markdown",
    "Nim": "nim",
    "Nix": "nix",
    "OCaml": "ml mli",
    "Objective-C++": "mm",
    "PHP": "php",
    "Pascal": "pas dpr lpr",
    "Perl": "pl pm",
    "PowerShell": "ps1 psm1",
    "Protocol Buffer": "proto",
    "Python": "py pyi",
    "R": "r",
    "Racket": "rkt",
    "Ruby": "rb rake gemspec",
    "Rust": "rs",
    "SCSS": "scss",
    "SQL": "sql",
    "Sass": "sass",
    "Scala": "scala sc",
    "Scheme": "scm ss",
    "Shell": "sh bash zsh fish",
    "Solidity": "sol",
    "Stylus": "styl",
    "Svelte": "svelte",
    "Swift": "swift",
    "SystemVerilog": "sv svh",
    "Tcl": "tcl",
    "TeX": "tex sty cls bib",
    "TypeScript": "ts tsx mts cts",
    "VHDL": "vhd vhdl",
    "Visual Basic": "vb bas",
    "Vue": "vue",
    "Zig": "zig",
    "reStructuredText": "rst",
}
_NAMES = {
    "cmakelists.txt": "CMake",
    "dockerfile": "Dockerfile",
    "gemfile": "Ruby",
    "gnumakefile": "Makefile",
    "jenkinsfile": "Groovy",
    "makefile": "Makefile",
    "rakefile": "Ruby",
    "vagrantfile": "Ruby",
}
_BY_ENDING = {f".{ending}": language for language, endings in _ENDINGS.items() for ending in endings.split()}
PROSE = frozenset({"Markdown", "reStructuredText", "TeX", "HTML"})
"""Languages whose lines are paragraphs, so that long lines say nothing."""


def language_of_code(name: str) -> str | None:
    """Return the language of a file by its name; None if it is no code that we know."""
    return _NAMES.get(PurePath(name).name.lower()) or _BY_ENDING.get(PurePath(name).suffix.lower())
