//! Who does what is asked for.

use shared::errors::{ApiError, ErrorKind};
use shared::host::Host;

use super::{Choice, Gateway};
use crate::asked::{Asked, unknown_model};
use crate::config::Key;
use crate::objects::request::{THREAD, unknown};
use crate::provider::Provider;
use crate::routing::ask::Ask;
use crate::wire;

impl Gateway {
    /// Who does what is asked for; `wanted` is the provider that the client names for what names no
    /// model.
    pub fn choose(
        &self,
        asked: &Asked,
        wanted: Option<&str>,
        ask: &mut Ask<'_, '_>,
        host: &dyn Host,
    ) -> Result<Choice<'_>, ApiError> {
        if asked.model.is_empty() {
            return self.choose_service(asked, wanted);
        }
        let choice = self.choose_model(asked, ask, host)?;
        self.keep_to_holder(asked, choice)
    }

    fn choose_model(
        &self,
        asked: &Asked,
        ask: &mut Ask<'_, '_>,
        host: &dyn Host,
    ) -> Result<Choice<'_>, ApiError> {
        let model = self.real_name(&asked.model);
        let number = self.rule_of(model, ask, asked.operation);
        let number = number.ok_or_else(|| unknown_model(&asked.model, &self.model_names()))?;
        let decision = self.routing.decide(number, ask, host)?;
        let spare = decision.spare.iter().map(|(index, _)| index);
        let targets = decision.targets.iter().chain(spare).filter_map(|index| {
            let target = decision.route.target(*index)?;
            let provider = self.providers.get(target.provider)?;
            Some((provider, target.model_of(model)))
        });
        let targets: Vec<_> = targets.collect();
        let first = decision.targets.first();
        Ok(Choice {
            targets,
            cluster: first.and_then(|first| self.cluster(number, *first)),
            key: decision.route.key,
            decision: Some(decision),
        })
    }

    /// Of the targets, those where the objects are that the request names.
    fn keep_to_holder<'g>(
        &'g self,
        asked: &Asked,
        mut choice: Choice<'g>,
    ) -> Result<Choice<'g>, ApiError> {
        let held = &asked.held;
        let (Some(pin), Some(objects)) = (&held.pin, &self.objects) else { return Ok(choice) };
        let holds: Vec<bool> =
            choice.targets.iter().map(|(p, _)| objects.is_mark(&pin.provider, &p.name)).collect();
        let mut kept = holds.iter();
        choice.targets.retain(|_| kept.next().copied().unwrap_or(false));
        if let Some(decision) = &mut choice.decision {
            let mut kept = holds.iter();
            decision.targets.retain(|_| kept.next().copied().unwrap_or(false));
            decision.spare.retain(|_| kept.next().copied().unwrap_or(false));
            let first = decision.targets.first();
            choice.cluster = first.and_then(|first| self.cluster(decision.number, *first));
        }
        if choice.targets.is_empty() && held.param == THREAD {
            return Err(ApiError::no_thread());
        }
        if choice.targets.is_empty() {
            let message = format!(
                "{}: is kept by a provider that does not serve this model now; ask the model that it \
                 was made with",
                held.param
            );
            return Err(ApiError::new(ErrorKind::InvalidRequest, message).param(&held.param));
        }
        Ok(choice)
    }

    /// The provider that is wanted, or the first that has the service.
    fn choose_service(&self, asked: &Asked, wanted: Option<&str>) -> Result<Choice<'_>, ApiError> {
        let able = |provider: &&Provider| wire::has(provider, asked.operation);
        let holder = match (&asked.held.pin, &self.objects) {
            (Some(pin), Some(objects)) => {
                let holds = |p: &&Provider| objects.is_mark(&pin.provider, &p.name);
                Some(self.providers.iter().find(holds).ok_or_else(|| unknown(&asked.held.param))?)
            }
            _ => None,
        };
        let provider = match wanted {
            _ if holder.is_some() => holder.filter(able),
            Some(name) => self.provider(name).filter(able),
            None => self.providers.iter().find(able),
        };
        let provider = provider.ok_or_else(|| {
            let message = "no provider of this gateway has this service";
            ApiError::new(ErrorKind::NotFound, message).code("unsupported_by_provider")
        })?;
        Ok(Choice {
            targets: vec![(provider, String::new())],
            cluster: provider.cluster.as_deref(),
            key: Key::Provider,
            decision: None,
        })
    }
}
