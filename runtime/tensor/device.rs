//! Tensors between devices.

use std::marker::PhantomData;
use std::sync::Arc;

use super::{IntoShape, Shape, Storage, Tensor};
use crate::device::Device;
use crate::device::gpu::{Gpu, Memory};
use crate::element::Element;
use crate::error::{DeviceError, Error, TensorError};

impl<T: Element> Tensor<T> {
    /// The device that holds the elements.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<f32>::zeros(3).device(), Device::cpu());
    /// ```
    #[must_use]
    pub fn device(&self) -> Device {
        self.storage.gpu().map_or(Device::cpu(), Device::of)
    }

    /// The same elements on a device: a view if they are there already, else a contiguous copy. Copying
    /// from a GPU waits for the launches before it, and reports an index outside a tensor that one met.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::<f32>::zeros(3).to(&Device::cpu())?;
    /// assert_eq!(x.len(), 3);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The device has no room, its driver fails, a launch met an index outside a tensor, or the storage is
    /// being written.
    pub fn to(&self, device: &Device) -> Result<Tensor<T>, Error> {
        match (self.storage.gpu(), device.gpu()) {
            (None, None) => Ok(self.clone()),
            (Some(from), Some(to)) if std::ptr::eq(from, to) => Ok(self.clone()),
            (None, Some(to)) => self.upload(to),
            (Some(from), None) => self.download(from),
            (Some(from), Some(to)) => self.download(from)?.upload(to),
        }
    }

    /// All elements zero (`false`), on a device.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// assert_eq!(Tensor::<f32>::zeros_on((2, 3), &Device::cpu())?.shape(), [2, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The shape has more than 8 dimensions, or the device has no room.
    pub fn zeros_on(shape: impl IntoShape, device: &Device) -> Result<Tensor<T>, Error> {
        let Some(gpu) = device.gpu() else { return Ok(Tensor::try_zeros(shape)?) };
        Tensor::allocate_on(shape.into_shape()?, gpu)
    }

    fn allocate_on(shape: Shape, gpu: &'static Gpu) -> Result<Tensor<T>, Error> {
        let too_large = || TensorError::TooLarge { shape: shape.to_vec() };
        let bytes = shape.elements()?.checked_mul(size_of::<T>()).ok_or_else(too_large)?;
        let memory = Memory { gpu, address: gpu.allocate(bytes)? };
        let storage = Storage::on_device(memory).ok_or(DeviceError::OutOfMemory { bytes, free: 0 })?;
        let strides = shape.row_major();
        Ok(Tensor { storage: Arc::new(storage), offset: 0, shape, strides, element: PhantomData })
    }

    fn upload(&self, gpu: &'static Gpu) -> Result<Tensor<T>, Error> {
        let source = self.to_contiguous()?;
        let copy = Tensor::<T>::allocate_on(self.shape, gpu)?;
        let elements = source.read()?;
        let bytes = std::mem::size_of_val(&*elements);
        // SAFETY: the guard holds the elements; the copy has room for as many.
        unsafe { gpu.copy_in(copy.pointer().addr() as u64, elements.as_ptr().cast(), bytes)? };
        Ok(copy)
    }

    fn download(&self, gpu: &'static Gpu) -> Result<Tensor<T>, Error> {
        gpu.synchronize()?;
        // The range of memory that the view spans, then the view of it on the host.
        let reach = |positive: bool| {
            let steps = self.shape.iter().zip(self.strides.iter());
            let steps = steps.map(|(length, stride)| (length.saturating_sub(1) as isize) * stride);
            steps.filter(|step| (*step > 0) == positive).sum::<isize>().unsigned_abs()
        };
        let (before, after) = if self.is_empty() { (0, 0) } else { (reach(false), reach(true) + 1) };
        let mut host = Tensor::<T>::try_zeros(before + after)?;
        self.storage.lock_shared()?;
        let from = self.pointer().wrapping_sub(before).addr() as u64;
        let result = host.write().map_err(Error::from).and_then(|mut elements| {
            let bytes = std::mem::size_of_val(&*elements);
            // SAFETY: these elements lie between the first and the last that the view names, all inside the
            // storage; bytes from a device are those that a kernel or the host wrote as `T`.
            unsafe { gpu.copy_out(elements.as_mut_ptr().cast(), from, bytes)? };
            Ok(())
        });
        self.storage.unlock_shared();
        result?;
        let view = Tensor { offset: before, shape: self.shape, strides: self.strides, ..host };
        Ok(view.to_contiguous()?)
    }
}
