"""The arguments that become no setting: what does it here instead, or why nothing does."""

from finery.moving.llamafactory.keys.draft import LEFT, NOTED

ANSWERING = "`finery chat` takes it when it is started, `finery serve` with each question"
ANSWERS = "of what is answered, not of the training: see evaluate (docs/evaluation.md)"
CACHED = "prepare keeps its own cache, by a hash of all that it depends on"
NOT_OURS = "`finery serve --engine` is transformers, llama.cpp or vLLM; SGLang reads the packages"
PROFILER = "a training is not profiled; its rate and its time are in the log"
RAY = "flows run stages on Ray and Dask: `finery run --engine ray`"
HUB = "nothing is pushed from a training; a package is released by `finery promote`"
LOGGED = "progress, losses and a plot are always logged"
SHUFFLED = "the order is by seed and epoch alone, so that a resumed run ends with the same bytes"
LOADING = "loading is Finery's own"
TOKENS = "tokens come from the environment (HF_TOKEN) alone, not from a file in git"
VOCABULARY = "the vocabulary stays that of the model"
MEDIA = "images are processed by the model's own processor, as it came"
SOUND = "videos and audios are not read"
MEGATRON = "there is no Megatron backend"
KT = "there is no KTransformers backend"
MODES = "no such loss is offered"
PPO = "rloo has settings of its own: beta, num_generations, max_completion_length"
ADAPTERS = "a chain of steps says it: `after` names the step whose model it is"

REASONS: tuple[tuple[str, str, str], ...] = (
    (NOTED, "training is a stage: `dvc repro` runs whatever changed, and that alone",
     "do_train overwrite_output_dir"),
    (NOTED, "the model that a step makes is in models/STEP, its adapter in models/adapters/STEP",
     "output_dir"),
    (NOTED, "it is off unless you set model.trust_remote_code, once you have read that code",
     "trust_remote_code"),
    (NOTED, ADAPTERS, "adapter_name_or_path adapter_folder create_new_adapter reward_model"
     " reward_model_adapters reward_model_type"),
    (NOTED, "the loss and a plot of it are in reports/train/STEP", "plot_loss"),
    (NOTED, "data.dataset_dir", "dataset_dir"),
    (NOTED, "it is in the prefix of model.source, hf: or modelscope:", "hub_name"),
    (NOTED, "a kill is gone on from by the next `dvc repro`, from its last checkpoint",
     "resume_from_checkpoint ignore_data_skip restore_callback_states_from_checkpoint"),
    (NOTED, "all validation samples are looked at, as many at once as in the training",
     "per_device_eval_batch_size do_eval eval_on_start eval_delay eval_accumulation_steps"
     " eval_do_concat_batches prediction_loss_only batch_eval_metrics"),
    (NOTED, "each dataset of eval_dataset is watched on its own anyway", "eval_on_each_dataset"),
    (NOTED, "padding never counts", "ignore_pad_token_for_loss"),
    (NOTED, "images are read wherever the model reads them and dataset_info.json names them",
     "visual_inputs"),
    (NOTED, "tokens are weighed alike over devices and batches", "average_tokens_across_devices"),
    (NOTED, "safetensors always", "save_safetensors export_legacy_format"),
    (NOTED, "merging goes from file to file, and writes shards of its own",
     "export_size export_device"),
    (NOTED, "rows are read a thousand at a time anyway", "streaming buffer_size"),
    (LEFT, CACHED, "overwrite_cache preprocessing_batch_size preprocessing_num_workers"
     " tokenized_path data_shared_file_system cache_dir"),
    (LEFT, "question and answer share cutoff_len, and the end is what is cut",
     "reserved_label_len max_source_length max_target_length"),
    (LEFT, ANSWERS, "do_sample temperature top_p top_k num_beams max_length repetition_penalty"
     " length_penalty skip_special_tokens eval_num_beams generation_max_length"
     " generation_num_beams generation_config sortish_sampler do_predict predict_with_generate"
     " max_new_tokens"),
    (LEFT, "evaluate.metrics names what is measured (docs/evaluation.md)",
     "compute_accuracy include_for_metrics include_inputs_for_metrics"),
    (LEFT, "a model's template has its own format of tools", "tool_format"),
    (LEFT, "put it in a column `system` of the data, or a chat template in model.chat_template",
     "default_system"),
    (LEFT, "earlier turns are rendered as the model's template does it, thinking or not",
     "preserve_thinking"),
    (LEFT, "every model starts from weights; a new one is not begun", "train_from_scratch"),
    (LEFT, VOCABULARY, "resize_vocab add_tokens add_special_tokens new_special_tokens_config"
     " init_special_tokens"),
    (LEFT, "words that read as control tokens are refused", "split_special_tokens"),
    (LEFT, LOADING, "use_fast_tokenizer low_cpu_mem_usage offload_folder quantization_device_map"
     " print_param_status disable_version_checking use_kv_cache use_cache device_map"),
    (LEFT, "norms and the loss are computed in float32 anyway",
     "upcast_layernorm upcast_lmhead_output lora_bf16_mode"),
    (LEFT, "flash attention does exactly what it approximated; see docs/training.md", "shift_attn"),
    (LEFT, "models of this kind are served by none of the formats", "mixture_of_depths"),
    (LEFT, "unsloth is not used; packing, flash attention and liger are (docs/training.md)",
     "use_unsloth use_unsloth_gc use_v1_kernels"),
    (LEFT, "the router's loss is that of the model's configuration", "moe_aux_loss_coef"),
    (LEFT, TOKENS, "hf_hub_token ms_hub_token om_hub_token hub_token swanlab_api_key"
     " swanlab_lark_webhook_url swanlab_lark_secret"),
    (LEFT, MEDIA, "image_max_pixels image_min_pixels image_do_pan_and_scan crop_to_patches"),
    (LEFT, SOUND, "video_max_pixels video_min_pixels video_fps video_maxlen use_audio_in_video"
     " audio_sampling_rate"),
    (LEFT, "tower and projector are trained together, by freeze_vision: false",
     "train_mm_proj_only"),
    (LEFT, "a language model is what is trained here", "freeze_language_model"),
    (LEFT, "quantization calibrates on samples of the training, as they were prepared",
     "export_quantization_dataset export_quantization_maxlen export_quantization_nsamples"),
    (LEFT, HUB, "export_hub_model_id push_to_hub hub_private_repo hub_model_id hub_strategy"
     " hub_always_push hub_revision push_to_hub_organization"),
    (LEFT, KT, "use_kt kt_weight_path kt_expert_checkpoint_path kt_use_lora_experts"
     " kt_lora_expert_num kt_lora_expert_intermediate_size"),
    (LEFT, "models answer in the best type that the machine has", "infer_dtype"),
    (LEFT, NOT_OURS, "infer_backend vllm_maxlen vllm_gpu_util vllm_enforce_eager"
     " vllm_max_lora_rank vllm_config sglang_maxlen sglang_mem_fraction sglang_tp_size"
     " sglang_config sglang_lora_backend sample_backend"),
    (LEFT, "B has its own rate, loraplus_lr_ratio; embeddings have that of the step",
     "loraplus_lr_embedding"),
    (LEFT, "rewards count as their model gives them", "ppo_score_norm ppo_whiten_rewards"),
    (LEFT, PPO, "ppo_buffer_size ppo_epochs ppo_target"),
    (LEFT, "the reference is the model that the step starts from, in its precision",
     "ref_model ref_model_adapters ref_model_quantization_bit reward_model_quantization_bit"),
    (LEFT, MODES, "ld_alpha use_dft_loss use_asft_loss asft_alpha use_eaft_loss eaft_alpha"
     " label_smoothing_factor"),
    (LEFT, "its state would be in no checkpoint, so that a resumed run ended otherwise",
     "galore_layerwise apollo_layerwise"),
    (LEFT, "the limiter is where apollo has it by default", "apollo_scale_front"),
    (LEFT, "blocks in turn are no optimizer here; train the last layers (tuner.type: freeze)",
     "use_badam badam_mode badam_start_block badam_switch_mode badam_switch_interval"
     " badam_update_ratio badam_mask_mode badam_verbose"),
    (LEFT, "it is not offered; take adamw_torch_8bit or apollo_adamw for less memory",
     "use_adam_mini"),
    (LEFT, "the tracker's own environment says it (WANDB_PROJECT, SWANLAB_PROJECT, ...)",
     "swanlab_project swanlab_workspace swanlab_run_name swanlab_mode swanlab_logdir run_name"
     " project trackio_space_id trackio_bucket_id trackio_static_space_id logging_dir"),
    (LEFT, MEGATRON, "use_mca"),
    (LEFT, "there is no HyperParallel backend", "use_hyper_parallel hyper_parallel_args"),
    (LEFT, "offloading to main memory is not offered", "ds_offload"),
    (LEFT, SHUFFLED, "disable_shuffling data_seed train_sampling_strategy group_by_length"
     " length_column_name dataloader_drop_last accelerator_config full_determinism"),
    (LEFT, LOGGED, "include_effective_tokens_per_second include_num_input_tokens_seen"
     " include_tokens_per_second logging_first_step logging_nan_inf_filter log_level"
     " log_level_replica log_on_each_node disable_tqdm skip_memory_metrics debug"),
    (LEFT, "checkpoints are what a kill does not cost, and gone once the step has ended",
     "save_total_limit save_only_model save_on_each_node enable_jit_checkpoint"),
    (LEFT, "the loss on the validation is computed in the precision of the training",
     "bf16_full_eval fp16_full_eval eval_use_gather_object"),
    (LEFT, "torch's own default is taken", "tf32 torch_compile_backend torch_compile_mode"
     " torch_empty_cache_steps liger_kernel_config gradient_checkpointing_kwargs fp16_opt_level"
     " half_precision_backend fp16_backend torchdynamo jit_mode_eval use_ipex mp_parameters"
     " past_index compute_dtype"),
    (LEFT, "a batch that does not fit is refused before it trains, with what would",
     "auto_find_batch_size"),
    (LEFT, "rows are loaded by Finery's own reader", "dataloader_num_workers"
     " dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor"
     " remove_unused_columns label_names dispatch_batches split_batches"),
    (LEFT, "processes are started and joined by the stage itself (docs/devices.md)",
     "ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ddp_static_graph"
     " ddp_backend ddp_timeout fsdp_config parallelism_config local_rank master_addr master_port"
     " fsdp_min_num_params fsdp_transformer_layer_cls_to_wrap xpu_backend tpu_num_cores"
     " tpu_metrics_debug use_mps_device"),
    (LEFT, "the device is found: a GPU where there is one", "use_cpu"),
    (LEFT, RAY, "ray_num_workers ray_init_kwargs ray_run_name ray_storage_path"
     " ray_storage_filesystem resources_per_worker placement_strategy"),
    (LEFT, "training in 8-bit floats is not offered",
     "fp8 fp8_backend fp8_enable_fsdp_float8_all_gather"),
    (LEFT, PROFILER, "enable_torch_profiler profiler_output_dir profiler_wait_steps"
     " profiler_warmup_steps profiler_active_steps profiler_repeat profiler_record_shapes"
     " profiler_profile_memory profiler_with_stack profile_modules"),
    (LEFT, "benchmarks of the kind of MMLU are not run; the tests are your own (data.test)",
     "task task_dir batch_size lang n_shot save_dir download_mode split"),
)  # fmt: skip
"""Of a kind (LEFT, NOTED), the words that say it, and the arguments, with spaces between them."""
