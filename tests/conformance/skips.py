"""Reasons for which tests of transformers may skip themselves. Any other skip fails."""

import re
from collections.abc import Iterable

_ATTENTION = "a recurrent network has no attention to dispatch between kernels"
_ROPE = "order is read, not encoded: there are no position embeddings"
_EXPERTS = "there are no experts"
_PLAN = "no tensor-parallel plan: a layer of this size is never split over devices"
_MAPPING = "weights are saved under their own names: there is no key conversion to reverse"
_FP32 = "no module has to stay in float32"

_STATIC = "the state never grows: there is no static form of it to compile for"
_ASSISTED = "assisted generation takes back what was read, and a state cannot"

# Skips that our architecture explains, by test name without the number of a parameterized case.
OURS = {
    "test_attention_outputs": _ATTENTION,
    "test_attn_implementation_composite_models": _ATTENTION,
    "test_can_set_attention_dynamically": _ATTENTION,
    "test_can_set_attention_dynamically_composite_model": _ATTENTION,
    "test_eager_matches_sdpa_generate": _ATTENTION,
    "test_eager_matches_sdpa_inference": _ATTENTION,
    "test_sdpa_can_dispatch_composite_models": _ATTENTION,
    "test_sdpa_can_dispatch_non_composite_models": _ATTENTION,
    "test_sliding_window_mask": _ATTENTION,
    "test_model_rope_scaling_frequencies": _ROPE,
    "test_model_rope_scaling_from_config": _ROPE,
    "test_model_rope_with_partial_rotation": _ROPE,
    "test_resize_position_vector_embeddings": _ROPE,
    "test_vision_axial_rope": _ROPE,
    "test_eager_matches_batched_and_grouped_inference": _EXPERTS,
    "test_moe_models_record_router_logits": _EXPERTS,
    "test_output_router_logits_from_config": _EXPERTS,
    "test_tied_head_has_a_tp_plan_entry": _PLAN,
    "test_tp_plan_matches_params": _PLAN,
    "test_can_load_from_already_mapped_keys": _MAPPING,
    "test_reverse_loading_mapping": _MAPPING,
    "test_assisted_decoding_matches_greedy_search": _ASSISTED,
    "test_assisted_decoding_sample": _ASSISTED,
    "test_custom_4d_attention_mask": _ATTENTION,
    "test_eager_padding_matches_padding_free_with_position_ids": _ATTENTION,
    "test_generate_compilation_all_outputs": _STATIC,
    "test_generate_compile_model_forward_fullgraph": _STATIC,
    "test_generate_from_inputs_embeds_with_static_cache": _STATIC,
    "test_generate_with_and_without_position_ids": _ROPE,
    "test_generate_with_static_cache": _STATIC,
    "test_sdpa_padding_matches_padding_free_with_position_ids": _ATTENTION,
    "test_keep_in_fp32_modules": _FP32,
    "test_keep_in_fp32_modules_exist": _FP32,
    "test_capture_outputs_decorator": "all layers are one module, which returns each layer's outputs without hooks",
    "test_can_capture_specific_layers_hidden_states": "hidden states are returned by the recurrence, not captured",
    "test_causal_lm_loss_honors_shift_labels": "the encoder and the classifier have no language-model head",
    "test_encoder_decoder_loss_no_double_shift": "there is no encoder-decoder yet",
    "test_internal_model_config_and_subconfig_are_same": "the configuration has no configurations inside",
    "test_torch_compile_for_training": "slow, and torch.compile breaks the graph at each recurrent kernel",
}

# Skips because of the machine or of tasks in other modalities. Our models do not cause them.
_MACHINE = re.compile(r"test requires ")
_OTHER_TASK = re.compile(r"is not in `self.pipeline_model_mapping`|`run_pipeline_test` is currently not implemented")


def may_skip(name: str, reason: str, tasks: Iterable[str]) -> bool:
    """Return whether a test may skip itself.

    Args:
        name: Name of the test method.
        reason: Reason that the test gave.
        tasks: Pipeline tasks for which the test class has a model.
    """
    plain = re.sub(r"_\d+(_.*)?$", "", name)
    if name in OURS or plain in OURS or _MACHINE.search(reason):
        return True
    return bool(_OTHER_TASK.search(reason)) and not any(task.replace("-", "_") in name for task in tasks)
