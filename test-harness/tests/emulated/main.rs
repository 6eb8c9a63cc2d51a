//! The tests of the built plugins and of the emulator, in one program: it is linked once, and compiles
//! each module once.

mod ai_metrics_memory;
mod ai_proxy_apisix;
mod ai_proxy_apisix_bridge;
mod ai_proxy_envoy;
mod ai_proxy_envoy_attempts;
mod apisix_crashes;
mod built;
mod emulator_apisix;
mod emulator_apisix_gateway;
mod emulator_both;
mod emulator_envoy;
mod emulator_envoy_response;
mod fuel;
mod many_routes;
mod prompt_guard;
mod support;
mod token_ratelimit;
mod waiting;
