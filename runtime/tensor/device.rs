//! Tensors between devices.

use std::marker::PhantomData;
use std::sync::Arc;

use super::{IntoShape, Shape, Storage, Tensor};
use crate::device::Device;
use crate::device::gpu::{Gpu, Memory};
use crate::device::graph::refuse_in_capture;
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

    /// Replaces all elements of this tensor on a GPU with those of one of the same shape.
    pub(super) fn write_on(&mut self, gpu: &'static Gpu, other: &Tensor<T>) -> Result<(), Error> {
        refuse_in_capture(|| "copying to a tensor".into())?;
        self.check_writable()?;
        if self.is_empty() {
            return Ok(());
        }
        let dense = self.is_contiguous();
        if dense && other.is_contiguous() && other.storage.gpu().is_some_and(|from| std::ptr::eq(from, gpu)) {
            let source = other.storage.hold_shared()?;
            let target = self.storage.hold_exclusive()?;
            let (to, from) = (self.pointer().addr() as u64, other.pointer().addr() as u64);
            // SAFETY: the locks hold the storages, in each of which so many elements follow one another.
            unsafe { gpu.copy_within(to, from, self.len() * size_of::<T>())? };
            drop((source, target));
            return Ok(());
        }
        let mut source = other.to(&Device::cpu())?.to_contiguous()?;
        let _lock = self.storage.hold_exclusive()?;
        let mut first = self.pointer();
        if !dense {
            // With what lies between the elements, which stays as it is.
            let (before, mut around) = self.around(gpu)?;
            Tensor { offset: before, shape: self.shape, strides: self.strides, ..around.clone() }
                .copy_here(&source)?;
            first = first.wrapping_sub(before);
            std::mem::swap(&mut source, &mut around);
        }
        let elements = source.read()?;
        let bytes = std::mem::size_of_val(&*elements);
        // SAFETY: the guard holds the elements, the lock the storage, from whose first place on there is room.
        unsafe { gpu.copy_in(first.addr() as u64, elements.as_ptr().cast(), bytes)? };
        Ok(())
    }

    fn download(&self, gpu: &'static Gpu) -> Result<Tensor<T>, Error> {
        refuse_in_capture(|| "copying a tensor to the host".into())?;
        gpu.synchronize()?;
        let _lock = self.storage.hold_shared()?;
        let (before, host) = self.around(gpu)?;
        let view = Tensor { offset: before, shape: self.shape, strides: self.strides, ..host };
        Ok(view.to_contiguous()?)
    }

    /// The range of memory that the view spans, on the host, and where in it the view's first element is. The
    /// caller holds the lock.
    fn around(&self, gpu: &'static Gpu) -> Result<(usize, Tensor<T>), Error> {
        let reach = |positive: bool| {
            let steps = self.shape.iter().zip(self.strides.iter());
            let steps = steps.map(|(length, stride)| (length.saturating_sub(1) as isize) * stride);
            steps.filter(|step| (*step > 0) == positive).sum::<isize>().unsigned_abs()
        };
        let (before, after) = if self.is_empty() { (0, 0) } else { (reach(false), reach(true) + 1) };
        let mut host = Tensor::<T>::try_zeros(before + after)?;
        let from = self.pointer().wrapping_sub(before).addr() as u64;
        let mut elements = host.write()?;
        let bytes = std::mem::size_of_val(&*elements);
        // SAFETY: these elements lie between the first and the last that the view names, all inside the
        // storage; bytes from a device are those that a kernel or the host wrote as `T`.
        unsafe { gpu.copy_out(elements.as_mut_ptr().cast(), from, bytes)? };
        drop(elements);
        Ok((before, host))
    }
}
