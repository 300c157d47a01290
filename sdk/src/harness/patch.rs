//! Edits applied to an object as the host applies them: RFC 6902 with absent
//! parent objects added.

use serde_json::{Map, Value};

use crate::review::Edit;

/// Applies edits in order.
///
/// # Errors
/// Which edit doesn't apply, and why.
pub fn apply(object: &mut Value, edits: &[Edit]) -> Result<(), String> {
    edits.iter().try_for_each(|edit| {
        apply_one(object, edit).map_err(|why| format!("the edit {} doesn't apply: {why}", edit.to_json()))
    })
}

fn apply_one(object: &mut Value, edit: &Edit) -> Result<(), String> {
    match edit {
        Edit::Add(path, value) => add(object, &tokens(path.pointer()), value),
        Edit::Replace(path, value) => {
            *object.pointer_mut(path.pointer()).ok_or("nothing is there to replace")? = value.clone();
            Ok(())
        }
        Edit::Test(path, value) => (object.pointer(path.pointer()) == Some(value))
            .then_some(())
            .ok_or_else(|| "another value is there".to_owned()),
        Edit::Remove(path) => remove(object, &tokens(path.pointer())),
    }
}

fn tokens(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

fn add(mut place: &mut Value, tokens: &[String], value: &Value) -> Result<(), String> {
    let Some((last, parents)) = tokens.split_last() else {
        *place = value.clone();
        return Ok(());
    };
    for token in parents {
        place = match place {
            Value::Object(members) => {
                let member = members.entry(token.clone()).or_insert_with(|| Value::Object(Map::new()));
                if member.is_null() {
                    *member = Value::Object(Map::new());
                }
                member
            }
            Value::Array(elements) => token
                .parse::<usize>()
                .ok()
                .and_then(|index| elements.get_mut(index))
                .ok_or_else(|| format!("the list has no element {token}"))?,
            _ => return Err(format!("what holds `{token}` is neither an object nor a list")),
        };
    }
    match place {
        Value::Object(members) => {
            members.insert(last.clone(), value.clone());
        }
        Value::Array(elements) => {
            let index =
                if last == "-" { elements.len() } else { last.parse().map_err(|_| format!("`{last}` is no index"))? };
            if index > elements.len() {
                return Err(format!("the list ends before {index}"));
            }
            elements.insert(index, value.clone());
        }
        _ => return Err("what holds it is neither an object nor a list".to_owned()),
    }
    Ok(())
}

fn remove(object: &mut Value, tokens: &[String]) -> Result<(), String> {
    let (last, parents) = tokens.split_last().ok_or("the whole object can't be removed")?;
    let place = parents.iter().try_fold(object, |place, token| match place {
        Value::Object(members) => members.get_mut(token),
        Value::Array(elements) => token.parse::<usize>().ok().and_then(|index| elements.get_mut(index)),
        _ => None,
    });
    let gone = match place {
        Some(Value::Object(members)) => members.remove(last).is_some(),
        Some(Value::Array(elements)) => last
            .parse()
            .ok()
            .filter(|&index: &usize| index < elements.len())
            .map(|index| elements.remove(index))
            .is_some(),
        _ => false,
    };
    if gone { Ok(()) } else { Err("nothing is there to remove".to_owned()) }
}
