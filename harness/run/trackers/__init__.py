"""Experiment trackers that a stored run is sent to: MLflow, Weights & Biases, TensorBoard, Trackio."""
