"""Multi-head fine-tuning: labels, entities and spans on one shared encoder.

python -m trainers.multitask CONFIG.yaml [--output DIR] [--resume]
"""
