//! Values in the making: as `serde_json::json!`, with a tenth of its code for each member.

use serde_json::Value;

use super::Object;

/// What stands for a value, which is copied.
pub(super) trait Json {
    fn json(&self) -> Value;
}

impl Json for Value {
    fn json(&self) -> Value {
        self.clone()
    }
}

impl Json for Object {
    fn json(&self) -> Value {
        Value::Object(self.clone())
    }
}

impl Json for str {
    #[inline(never)]
    fn json(&self) -> Value {
        self.into()
    }
}

impl Json for String {
    fn json(&self) -> Value {
        self.as_str().json()
    }
}

impl Json for bool {
    fn json(&self) -> Value {
        (*self).into()
    }
}

impl Json for u64 {
    fn json(&self) -> Value {
        (*self).into()
    }
}

impl Json for usize {
    fn json(&self) -> Value {
        (*self).into()
    }
}

/// Sets a member.
#[inline(never)]
pub(super) fn put(object: &mut Object, key: &str, value: Value) {
    object.insert(key.to_owned(), value);
}

/// An object, an empty list or a list of one.
macro_rules! json {
    ({}) => { Value::Object(Object::new()) };
    ([]) => { Value::Array(Vec::new()) };
    ([$item:expr]) => { Value::Array(vec![$item.json()]) };
    ({ $($key:tt : $value:expr),+ $(,)? }) => {{
        let mut object = Object::new();
        $(put(&mut object, $key, $value.json());)+
        Value::Object(object)
    }};
}

pub(super) use json;
