"""The network: Llama 2 under Hugging Face's names, its checkpoints, its generation and its bits per byte."""
