//! The tests that see the plugin as a proxy does, in one program: it is linked once.

mod aws;
mod clouds;
mod config;
mod cuts;
mod endpoints;
mod failover;
mod features;
mod gemini;
mod generic;
mod golden;
mod google;
mod members;
mod objects;
mod presets;
mod property;
mod responses;
mod roles;
mod routing;
mod services;
mod services_roles;
mod shadows;
mod strategies;
mod support;
