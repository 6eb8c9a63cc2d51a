//! What is answered with one document and is no chat: vectors and token counts, where the provider has
//! another form of them than the client.

use shared::errors::{ApiError, ErrorKind};

use crate::attempt::{overridden, unsupported};
use crate::overrides::Overrides;
use crate::provider::Provider;
use crate::translate::count::{self, Counter, Failed};
use crate::translate::embed::{self, Dialect, Refusal};
use crate::translate::ir::Unsupported;
use crate::translate::provider::Options;

/// What the answer is to become.
#[derive(Clone, Debug)]
pub enum Document {
    /// Vectors.
    Vectors(embed::Pending),
    /// The number of a request's tokens.
    Count(count::Client),
}

/// A request in the provider's form.
#[derive(Debug)]
pub struct Asking {
    /// The body.
    pub body: String,
    /// Fields that the provider has nothing for, under the client's names.
    pub dropped: Vec<String>,
    /// What the answer is to become.
    pub document: Document,
}

/// Asks for vectors.
pub fn vectors(
    provider: &Provider,
    changes: Option<&Overrides>,
    model: &str,
    client: embed::Client,
    dialect: Dialect,
    text: &str,
) -> Result<Asking, ApiError> {
    let mut request = client.read(text)?;
    let body = dialect
        .write(&mut request, model)
        .map_err(|refusal| no_vectors(refusal, client, &request, &provider.name))?;
    let document = Document::Vectors(embed::Pending::new(client, dialect, model, &request));
    let mut dropped = request.dropped;
    dropped.extend(request.unsupported.iter().map(|field| client.name_of(*field).to_owned()));
    Ok(Asking { body: overridden(provider, changes, body), dropped, document })
}

/// Asks for a number of tokens. The configuration's changes are of answers, which no counter knows.
pub fn count(
    provider: &Provider,
    client: count::Client,
    counter: Counter,
    text: &str,
    options: &Options<'_>,
) -> Result<Asking, ApiError> {
    let written = counter.write(client, text, options).map_err(|failed| match failed {
        Failed::Mistake(error) => error,
        Failed::Unsupported(Unsupported(what)) => unsupported(what, &provider.name),
    })?;
    let document = Document::Count(client);
    Ok(Asking { body: written.body, dropped: written.dropped, document })
}

/// Why a provider cannot give the vectors that are asked for.
fn no_vectors(
    refusal: Refusal,
    client: embed::Client,
    request: &embed::Request<'_>,
    provider: &str,
) -> ApiError {
    let (field, message) = match refusal {
        Refusal::Unsupported(what) => {
            return unsupported(what, provider).param(client.name_of_inputs());
        }
        Refusal::AtMost(most) => {
            let (given, texts) = (request.inputs.len(), if most == 1 { "text" } else { "texts" });
            let message = format!(
                "provider `{provider}` takes at most {most} {texts} in one request of this model, \
                 not {given}; send several requests"
            );
            (client.name_of_inputs(), message)
        }
        Refusal::Dimensions(lengths) => {
            let lengths: Vec<_> = lengths.iter().map(u64::to_string).collect();
            let message = format!("this model's vectors have {} numbers", lengths.join(" or "));
            (client.name_of_dimensions(), message)
        }
    };
    let error = ApiError::new(ErrorKind::InvalidRequest, format!("{field}: {message}"));
    error.param(field).code("unsupported_by_provider")
}
