"""The notebooks of the course, in their order: what an exercise's header and the syllabus may name."""

NOTEBOOKS = (
    "00_start_here",
    "01_tensors",
    "02_backward",
    "03_softmax_cross_entropy",
    "04_embeddings_positions",
    "05_attention",
    "06_multi_head",
    "07_layernorm_residual",
    "08_gpt",
    "09_adam",
    "10_training",
    "11_sampling",
    "12_tokenizers",
    "13_attention_of_a_trained_model",
    "14_kernels",
    "15_encoder_decoder",
    "16_recurrent",
    "17_finetuning_chat",
    "18_from_formula_to_code",
    "19_chinese",
)
