"""The encoder tier: any sequence encoder or decoder of transformers, fine-tuned; torch is needed to train only."""
