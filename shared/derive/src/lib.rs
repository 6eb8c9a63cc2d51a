//! `#[derive(Setting)]`: how a type of a configuration is read, see `shared::config::Setting`.
//!
//! It goes by the attributes of serde, which the schema goes by too: on a type `rename_all =
//! "snake_case"`, `deny_unknown_fields` and `default`; on a field or a variant `rename`, `default` and
//! `default = "function"`. Others do not compile.
//!
//! Unlike with serde, what is given is read over the default of its field: a type whose fields have defaults
//! must have the same ones in its own `Default`.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{
    Attribute, Data, DataEnum, DeriveInput, Error, Fields, FieldsNamed, Ident, LitStr, Path,
    Result, Type,
};

/// Derives `shared::config::Setting`.
#[proc_macro_derive(Setting, attributes(serde))]
pub fn setting(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    derive(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn derive(input: &DeriveInput) -> Result<Tokens> {
    let name = &input.ident;
    let attributes = Attributes::of(&input.attrs)?;
    let (blank, read) = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => section(name, &attributes, fields)?,
            // A new type of something is read as that.
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                (quote!(Self(Setting::blank())), quote!(self.0.read(node)))
            }
            _ => return Err(Error::new_spanned(name, "has no fields with names")),
        },
        Data::Enum(data) => choice(name, &attributes, data)?,
        Data::Union(_) => return Err(Error::new_spanned(name, "is a union")),
    };
    Ok(quote! {
        const _: () = {
            use ::shared::config::{Mistake, Node, Setting, Shape};
            impl Setting for #name {
                fn blank() -> Self {
                    #blank
                }
                fn read(&mut self, node: &Node<'_>) -> ::core::result::Result<(), Mistake> {
                    #read
                }
            }
        };
    })
}

/// An object with fields.
fn section(
    name: &Ident,
    attributes: &Attributes,
    fields: &FieldsNamed,
) -> Result<(Tokens, Tokens)> {
    let mut names = Vec::new();
    let mut blanks = Vec::new();
    let mut reads = Vec::new();
    let mut required = 0u64;
    for (index, field) in fields.named.iter().enumerate() {
        let of_field = Attributes::of(&field.attrs)?;
        let Some(ident) = &field.ident else { continue };
        names.push(of_field.name(ident, None));
        blanks.push(match &of_field.default {
            Some(Some(path)) => quote!(#ident: #path()),
            Some(None) => quote!(#ident: ::core::default::Default::default()),
            None => quote!(#ident: Setting::blank()),
        });
        reads.push(quote!(#index => self.#ident.read(node)));
        if of_field.default.is_none() && attributes.default.is_none() && !is_option(&field.ty) {
            required |= 1u64.checked_shl(u32::try_from(index).unwrap_or(64)).unwrap_or(0);
        }
    }
    if names.len() > 64 {
        return Err(Error::new_spanned(name, "has more than 64 fields"));
    }
    let blank = match attributes.default {
        Some(_) => quote!(::core::default::Default::default()),
        None => quote!(Self { #(#blanks),* }),
    };
    let expected = format!("struct {name}");
    let closed = attributes.closed;
    let read = quote! {
        static SHAPE: Shape = Shape {
            expected: #expected,
            names: &[#(#names),*],
            required: #required,
            closed: #closed,
        };
        node.members(&SHAPE, &mut |index, node| match index {
            #(#reads,)*
            _ => ::core::result::Result::Ok(()),
        })
    };
    Ok((blank, read))
}

/// One of several names, some of which may be about something.
fn choice(name: &Ident, attributes: &Attributes, data: &DataEnum) -> Result<(Tokens, Tokens)> {
    let mut names = Vec::new();
    let mut blank = None;
    let mut arms = Vec::new();
    // Where no name is about anything, that is checked at once.
    let alone = data.variants.iter().all(|variant| variant.fields.is_empty());
    for (index, variant) in data.variants.iter().enumerate() {
        let ident = &variant.ident;
        names
            .push(Attributes::of(&variant.attrs)?.name(ident, attributes.snake_case.then_some(())));
        let (made, arm) = match &variant.fields {
            Fields::Unit if alone => (quote!(Self::#ident), quote!(#index => Self::#ident)),
            Fields::Unit => {
                let arm = quote!(#index => {
                    choice.alone()?;
                    Self::#ident
                });
                (quote!(Self::#ident), arm)
            }
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                let arm = quote!(#index => Self::#ident(choice.content()?));
                (quote!(Self::#ident(Setting::blank())), arm)
            }
            _ => return Err(Error::new_spanned(ident, "has more than one field")),
        };
        blank.get_or_insert(made);
        arms.push(arm);
    }
    let Some(blank) = blank else { return Err(Error::new_spanned(name, "has no variants")) };
    let expected = format!("enum {name}");
    let get = format_ident!("{}", if alone { "word" } else { "choice" });
    let index = if alone { quote!(choice) } else { quote!(choice.index) };
    let read = quote! {
        static NAMES: &[&str] = &[#(#names),*];
        let choice = node.#get(#expected, NAMES)?;
        *self = match #index {
            #(#arms,)*
            _ => return ::core::result::Result::Ok(()),
        };
        ::core::result::Result::Ok(())
    };
    Ok((blank, read))
}

/// What serde's attributes say of a type, a field or a variant.
#[derive(Default)]
struct Attributes {
    rename: Option<String>,
    snake_case: bool,
    closed: bool,
    /// A default, and the function that makes it.
    default: Option<Option<Path>>,
}

impl Attributes {
    fn of(attributes: &[Attribute]) -> Result<Attributes> {
        let mut found = Attributes::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| {
                let is = |name: &str| meta.path.is_ident(name);
                let text = || meta.value()?.parse::<LitStr>();
                if is("rename") {
                    found.rename = Some(text()?.value());
                } else if is("rename_all") {
                    let style = text()?;
                    if style.value() != "snake_case" {
                        return Err(Error::new_spanned(style, "only `snake_case` is known here"));
                    }
                    found.snake_case = true;
                } else if is("deny_unknown_fields") {
                    found.closed = true;
                } else if is("default") {
                    let path = meta.input.peek(syn::Token![=]).then(text).transpose()?;
                    found.default = Some(path.map(|path| path.parse()).transpose()?);
                } else if is("skip_serializing_if") {
                    text()?;
                } else {
                    return Err(meta.error("is not known here"));
                }
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// The name in a configuration; fields have theirs in snake case.
    fn name(&self, ident: &Ident, snake_case: Option<()>) -> String {
        if let Some(name) = &self.rename {
            return name.clone();
        }
        let ident = ident.to_string();
        let ident = ident.strip_prefix("r#").unwrap_or(&ident);
        if snake_case.is_none() {
            return ident.to_owned();
        }
        let mut name = String::new();
        for (index, letter) in ident.chars().enumerate() {
            if index > 0 && letter.is_uppercase() {
                name.push('_');
            }
            name.extend(letter.to_lowercase());
        }
        name
    }
}

/// What may be left out.
fn is_option(kind: &Type) -> bool {
    match kind {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Option"),
        _ => false,
    }
}
