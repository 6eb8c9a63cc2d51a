//! A worker: a thread with its own instance of every module. What it does comes to it as closures, one at
//! a time, as callbacks come in one nginx process.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use super::server::Log;
use super::site::Site;
use crate::emulator::{Exchange, Module, Options, RootContext, Traps, Vm};

type Job = Box<dyn FnOnce(&mut Instances) + Send>;

/// A handle of a worker.
#[derive(Clone)]
pub(super) struct Worker {
    jobs: Sender<Job>,
}

/// The instances of a worker, and the exchanges under way.
pub(super) struct Instances {
    site: Arc<Site>,
    log: Log,
    vms: HashMap<String, Vm>,
    roots: HashMap<(String, usize), RootContext>,
    /// By the number that the driver of a request knows each by.
    pub(super) exchanges: HashMap<u64, Exchange>,
    next: u64,
}

impl Worker {
    /// Starts a worker; `seed` makes its random numbers differ from those of the others.
    pub(super) fn start(
        site: Arc<Site>,
        modules: Arc<Vec<(String, Module)>>,
        env: Arc<Vec<(String, String)>>,
        log: Log,
        seed: u64,
    ) -> Worker {
        let (jobs, inbox) = channel::<Job>();
        std::thread::spawn(move || {
            let mut instances = Instances::new(site, &modules, &env, log, seed);
            for job in inbox {
                instances.tell_the_time();
                job(&mut instances);
                instances.print_logs();
            }
        });
        Worker { jobs }
    }

    /// Runs a job in the worker's thread.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Instances) -> T + Send + 'static,
    ) -> T {
        let (answer, answered) = sync_channel(1);
        let job = Box::new(move |instances: &mut Instances| {
            let _ = answer.send(job(instances));
        });
        self.jobs.send(job).expect("a worker ends with the process");
        answered.recv().expect("a worker ends with the process")
    }
}

impl Instances {
    fn new(
        site: Arc<Site>,
        modules: &[(String, Module)],
        env: &[(String, String)],
        log: Log,
        seed: u64,
    ) -> Instances {
        let start = |(name, module): &(String, Module)| {
            let options = Options {
                env: env.to_vec(),
                seed,
                clock_ns: now(),
                plugin_name: name.clone(),
                nginx_variables: site.variables.clone(),
                // What upstreams say is theirs.
                check_content_length: false,
                fuel_per_callback: 100_000_000_000,
                traps: Traps::FailTheTest,
                ..Options::apisix()
            };
            let vm = Vm::start(module, options).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name.clone(), vm)
        };
        let vms = modules.iter().map(start).collect();
        Instances { site, log, vms, roots: HashMap::new(), exchanges: HashMap::new(), next: 0 }
    }

    /// Begins the exchange of a route's plugin. The first one configures the plugin.
    pub(super) fn begin(&mut self, plugin: &str, route: usize) -> u64 {
        let vm = &self.vms[plugin];
        let key = (plugin.to_owned(), route);
        let root = *self.roots.entry(key).or_insert_with(|| {
            let conf = self.site.routes[route].conf(plugin).unwrap_or_default();
            vm.configure(conf).expect("on APISIX that waits for the first request")
        });
        self.next += 1;
        self.exchanges.insert(self.next, vm.exchange(root));
        self.next
    }

    fn tell_the_time(&self) {
        for vm in self.vms.values() {
            vm.advance(now().saturating_sub(vm.clock_ns()));
        }
    }

    /// As nginx does with what a module logs; the trace of host calls would grow for ever.
    fn print_logs(&self) {
        for (name, vm) in &self.vms {
            for line in vm.logs() {
                self.log.line(&format!("{name}: {}", line.text));
            }
            vm.clear_trace();
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
