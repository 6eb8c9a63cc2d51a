//! Which targets a request may go to, and in which order they are asked.
//!
//! Rules are tried in the order they are written; the first that fits decides. What a request needs and
//! where it may go are hard limits: a target that does not meet them is never asked. Among the others
//! the rule's strategy decides, and targets that rest come last.

pub mod ask;
pub mod board;
pub mod canary;
pub mod carbon;
mod compile;
pub mod condition;
pub mod config;
pub mod failure;
pub mod health;
mod lack;
mod learn;
pub mod load;
pub mod order;
mod pick;
pub mod poll;
pub mod price;
mod route;
pub mod store;

use std::rc::Rc;

use shared::small_map::SmallMap;

use ask::Ask;
use board::Board;
use canary::Canary;
use carbon::Grid;
use config::{AutoTiers, Circuit, Failure};
use health::Health;
use load::Server;
use poll::Poll;
use store::Store;

pub use route::{Route, RouteTarget, Timeouts};

/// Everything that rules share.
#[derive(Debug)]
pub struct Routing {
    routes: Vec<Route>,
    grid: Grid,
    /// When targets rest.
    pub circuit: Circuit,
    auto: AutoTiers,
    currencies: SmallMap<String, f64>,
    health: SmallMap<(usize, Option<String>), Rc<Health>>,
    polls: Vec<(Poll, Use)>,
    store: Option<Store>,
    board: Board,
    /// The providers' names.
    names: SmallMap<usize, String>,
}

/// What something that is fetched is for.
#[derive(Debug)]
enum Use {
    /// The carbon intensity of a region.
    Carbon {
        region: String,
        pointer: String,
        /// How long it counts, in nanoseconds.
        max_age: u64,
    },
    /// A server's load.
    Load(Rc<Server>),
}

/// What was decided.
#[derive(Debug)]
pub struct Decision<'r> {
    /// The rule's number.
    pub number: usize,
    /// The rule.
    pub route: &'r Route,
    /// The numbers of its targets, in the order they are asked; never empty.
    pub targets: Vec<usize>,
    /// The numbers of those that are there for some failures only, and for which.
    pub spare: Vec<(usize, Vec<Failure>)>,
    /// The numbers of those that get copies.
    pub shadows: Vec<usize>,
    /// The variant of its experiment.
    pub variant: Option<String>,
    /// Why, if the client wants to know.
    pub reason: Option<String>,
}

impl Routing {
    /// The canaries of all rules.
    pub fn canaries(&self) -> impl Iterator<Item = &Canary> {
        self.routes.iter().filter_map(|route| route.canary.as_ref())
    }

    /// The names of models that rules are for, patterns left out.
    pub fn model_names(&self) -> impl Iterator<Item = (&str, &Route)> {
        self.routes
            .iter()
            .flat_map(|route| route.condition.exact_models().map(move |model| (model, route)))
    }

    /// Whether a rule changes requests, or binds them to regions.
    pub fn prepares(&self) -> bool {
        self.routes.iter().any(|route| route.messages.is_some() || route.regions.is_some())
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The rule of this number.
    pub fn route(&self, number: usize) -> Option<&Route> {
        self.routes.get(number)
    }

    /// The first rule among the first `count` that a request fits.
    pub fn find(&self, count: usize, ask: &mut Ask<'_, '_>) -> Option<usize> {
        self.routes.iter().take(count).position(|route| route.condition.fits(ask))
    }
}
